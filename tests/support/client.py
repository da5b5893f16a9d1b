"""Asks the plugin's routes without a server."""

from __future__ import annotations

from werkzeug import test

from tb_numstab.plugin.backend import NumericalHealthPlugin


class Client:
    """Asks the plugin's routes directly."""

    def __init__(self, plugin: NumericalHealthPlugin) -> None:
        self._apps = plugin.get_plugin_apps()

    def open(self, route: str, method: str = "GET", **query: str) -> test.TestResponse:
        return test.Client(self._apps[route]).open(route, method=method, query_string=query)

    def raw(self, route: str, query: str) -> test.TestResponse:
        return test.Client(self._apps[route]).get(route, query_string=query)

    @property
    def routes(self) -> list[str]:
        return list(self._apps)

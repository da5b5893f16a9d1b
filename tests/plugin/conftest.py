"""The plugin on a small log folder, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext
from werkzeug.test import Client, TestResponse

from tb_numstab.plugin.backend import NumericalHealthPlugin
from tb_numstab.plugin.loader import Loader
from tests.support.runs import write_all

RUNS = ["absorbed_updates", "fp16_overflow", "healthy", "nan_softmax_log"]


class Browser:
    """Asks the plugin's routes directly."""

    def __init__(self, plugin: NumericalHealthPlugin) -> None:
        self._apps = plugin.get_plugin_apps()

    def open(self, route: str, method: str = "GET", **query: str) -> TestResponse:
        return Client(self._apps[route]).open(route, method=method, query_string=query)

    def raw(self, route: str, query: str) -> TestResponse:
        return Client(self._apps[route]).get(route, query_string=query)

    @property
    def routes(self) -> list[str]:
        return list(self._apps)


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_all(tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="session")
def plugin(logs: Path) -> NumericalHealthPlugin:
    multiplexer = EventMultiplexer(tensor_size_guidance={"numstab": 0}, size_guidance={"tensors": 0})
    multiplexer.AddRunsFromDirectory(str(logs))
    multiplexer.Reload()
    context = TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(logs)), logdir=str(logs))
    plugin = Loader().load(context)
    assert isinstance(plugin, NumericalHealthPlugin)
    return plugin


@pytest.fixture(scope="session")
def browser(plugin: NumericalHealthPlugin) -> Browser:
    return Browser(plugin)

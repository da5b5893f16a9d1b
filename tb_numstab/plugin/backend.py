"""The tab's server side: parse the request, make the view, respond. docs/http_api.md describes the routes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from importlib import resources
from typing import Any

from tensorboard import plugin_util
from tensorboard.backend import http_util
from tensorboard.plugins import base_plugin
from werkzeug import Request, Response

from tb_numstab.plugin.query import BadQuery, Query
from tb_numstab.plugin.runs import Caller, Runs
from tb_numstab.schema.names import PLUGIN_NAME
from tb_numstab.store import heap
from tb_numstab.views import compare, layers, op_page, op_search, overview, precision
from tb_numstab.views.health_map import MAX_COLUMNS, Window, map_view
from tb_numstab.views.interactions import Filter, interactions_view
from tb_numstab.views.json_values import Json
from tb_numstab.views.subject import NotInData, Subject

TAB_NAME = "Numerical health"

STATIC_FILES = {"index.js": "text/javascript", "style.css": "text/css", "licenses.txt": "text/plain"}
"""The only files that are ever served; each has a route of its own, so no path is ever put together."""

_log = logging.getLogger(__name__)

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class NumericalHealthPlugin(base_plugin.TBPlugin):  # type: ignore[misc]  # TensorBoard is untyped
    """Numerical health for TensorBoard."""

    plugin_name = PLUGIN_NAME

    def __init__(self, context: base_plugin.TBContext):
        self._known = Runs(context.data_provider)

    def is_active(self) -> bool:
        """False: TensorBoard shows the tab by itself as soon as a run holds our data."""
        return False

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """Where the tab's script is."""
        return base_plugin.FrontendMetadata(es_module_path="/static/index.js", tab_name=TAB_NAME)

    def get_plugin_apps(self) -> dict[str, Wsgi]:
        """Every route by its path."""
        views: dict[str, tuple[tuple[str, ...], Callable[[Caller, Query], Json]]] = {
            "/runs": ((), self._runs),
            "/verdict": ((*_SESSION, "patience"), self._verdict),
            "/progress": (_SESSION, self._progress),
            "/overview": ((*_SESSION, "patience"), self._overview),
            "/op": ((*_SESSION, "op", "step"), self._op),
            "/ops": ((*_SESSION, "query"), self._ops),
            "/map": ((*_SESSION, "first_row", "last_row", "first_step", "last_step", "columns"), self._map),
            "/interactions": ((*_SESSION, "step", "kind", "effect", "certainty", "first"), self._interactions),
            "/layers": ((*_SESSION, "first"), self._layers),
            "/precision": (_SESSION, self._precision),
            "/compare": ((*_SESSION, "against"), self._compare),
        }
        apps = {path: self._json_route(allowed, view) for path, (allowed, view) in views.items()}
        return apps | {f"/static/{name}": _static_route(name, kind) for name, kind in STATIC_FILES.items()}

    def _runs(self, caller: Caller, query: Query) -> Json:
        return overview.runs_view(self._known.summaries(caller))

    def _verdict(self, caller: Caller, query: Query) -> Json:
        return self._known.verdict(caller, *_session(query), _patience(query))

    def _progress(self, caller: Caller, query: Query) -> Json:
        return self._known.progress(caller, *_session(query))

    def _overview(self, caller: Caller, query: Query) -> Json:
        return overview.overview_view(self._known.subject(caller, *_session(query), _patience(query)))

    def _op(self, caller: Caller, query: Query) -> Json:
        return op_page.op_view(self._subject(caller, query), query.text("op"), query.optional_integer("step"))

    def _ops(self, caller: Caller, query: Query) -> Json:
        return op_search.ops_view(self._subject(caller, query), query.optional_text("query") or "")

    def _map(self, caller: Caller, query: Query) -> Json:
        window = Window(query.optional_range("first_row", "last_row"), query.optional_range("first_step", "last_step"))
        columns = query.optional_integer("columns")
        return map_view(self._subject(caller, query), window, MAX_COLUMNS if columns is None else columns)

    def _interactions(self, caller: Caller, query: Query) -> Json:
        only = Filter(*(query.optional_text(name) for name in ("kind", "effect", "certainty")))
        step, first = query.optional_integer("step"), query.optional_integer("first") or 0
        return interactions_view(self._subject(caller, query), step, only, first)

    def _layers(self, caller: Caller, query: Query) -> Json:
        return layers.layers_view(self._subject(caller, query), query.optional_integer("first") or 0)

    def _precision(self, caller: Caller, query: Query) -> Json:
        return precision.precision_view(self._subject(caller, query))

    def _compare(self, caller: Caller, query: Query) -> Json:
        against = self._known.subject(caller, query.text("against"))
        return compare.compare_view(self._subject(caller, query), against)

    def _subject(self, caller: Caller, query: Query) -> Subject:
        return self._known.subject(caller, *_session(query))

    def _json_route(self, allowed: tuple[str, ...], view: Callable[[Caller, Query], Json]) -> Wsgi:
        def answer(request: Request) -> Response:
            caller = (plugin_util.context(request.environ), plugin_util.experiment_id(request.environ))
            try:
                query = Query(dict(request.args.lists()), allowed)
                return _respond(request, view(caller, query))
            except BadQuery as error:
                return _error(request, 400, str(error))
            except NotInData as error:
                return _error(request, 404, str(error))
            except Exception:
                _log.exception("numstab: %s failed", request.path)
                return _error(request, 500, "An error in tb-numstab; TensorBoard's log has the details.")
            finally:
                heap.trim()

        return _read_only(answer)


_SESSION = ("run", "session")

MAX_PATIENCE_MS = 60_000
"""Nobody waits longer for an answer about a part."""


def _session(query: Query) -> tuple[str, str | None]:
    """Which session of which run is asked for; None for the latest."""
    return query.text("run"), query.optional_text("session")


def _patience(query: Query) -> float | None:
    """Seconds to wait for the whole answer; None for as long as it takes."""
    milliseconds = query.optional_integer("patience")
    return None if milliseconds is None else min(max(milliseconds, 0), MAX_PATIENCE_MS) / 1000


def _static_route(name: str, content_type: str) -> Wsgi:
    def answer(request: Request) -> Response:
        content = resources.files("tb_numstab").joinpath("static", name).read_bytes()
        return _respond(request, content, content_type)

    return _read_only(answer)


def _read_only(answer: Callable[[Request], Response]) -> Wsgi:
    """A route that answers GET and HEAD only: TensorBoard itself lets any method and any origin through."""

    @Request.application
    def app(request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return _error(request, 405, "Only GET and HEAD are allowed.", headers=[("Allow", "GET, HEAD")])
        return answer(request)

    return app


def _respond(request: Request, content: Json | bytes, content_type: str = "application/json", **more: Any) -> Response:
    response: Response = http_util.Respond(request, content, content_type, **more)
    return response


def _error(request: Request, code: int, message: str, **more: Any) -> Response:
    return _respond(request, {"error": {"code": code, "message": message}}, code=code, **more)

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tensorboard.plugins.base_plugin import TBContext
from werkzeug.test import TestResponse

from tb_numstab.plugin.backend import NumericalHealthPlugin
from tb_numstab.store.provider import ProviderReader
from tests.support.client import Client
from tests.support.runs import SCENARIOS

ROOT = Path(__file__).parents[2]
LINK = dict(run="nan_softmax_log", op="Log_21:0", step="57")

PAGES = {
    "/runs": {},
    "/verdict": dict(run="nan_softmax_log"),
    "/progress": dict(run="nan_softmax_log"),
    "/overview": dict(run="nan_softmax_log"),
    "/op": LINK,
    "/ops": dict(run="nan_softmax_log", query="log"),
    "/map": dict(run="nan_softmax_log"),
    "/interactions": dict(run="fp16_overflow"),
    "/layers": dict(run="nan_softmax_log"),
    "/precision": dict(run="nan_softmax_log"),
    "/compare": dict(run="nan_softmax_log", against="healthy"),
}


def error_of(response: TestResponse) -> str:
    error = response.get_json()["error"]
    assert error["code"] == response.status_code
    assert set(error) == {"code", "message"}
    return str(error["message"])


def test_every_route_is_tried_here_and_described(client: Client) -> None:
    data_routes = {route for route in client.routes if not route.startswith("/static/")}
    assert data_routes == set(PAGES)
    described = (ROOT / "docs" / "http_api.md").read_text()
    assert set(re.findall(r"^## `(/[a-z]+)", described, re.MULTILINE)) == data_routes


@pytest.mark.parametrize("route", PAGES)
def test_answers_are_strict_json(client: Client, route: str) -> None:
    response = client.open(route, **PAGES[route])
    assert response.status_code == 200
    assert response.mimetype == "application/json"

    def refuse(name: str) -> None:
        raise AssertionError(f"bare {name} is not JSON")

    json.loads(response.get_data(), parse_constant=refuse)


def test_progress_begins_at_nothing_and_ends_at_all(context: TBContext) -> None:
    fresh = Client(NumericalHealthPlugin(context))
    before = fresh.open("/progress", run="healthy").get_json()
    assert (before["done"], before["total"]) == (0, 80)
    fresh.open("/verdict", run="healthy")
    assert fresh.open("/progress", run="healthy").get_json() == before | {"done": 80}


def test_the_answers_are_about_the_right_thing(client: Client) -> None:
    assert [run["name"] for run in client.open("/runs").get_json()["runs"]] == sorted(SCENARIOS)
    page = client.open("/op", **LINK).get_json()
    assert (page["op"]["op_type"], page["step"]) == ("Log", 57)
    assert client.open("/map", **PAGES["/map"], first_step="3", last_step="5").get_json()["columns"] == [
        [3, 3],
        [4, 4],
    ]


@pytest.mark.parametrize("route", [*PAGES, "/static/index.js", "/static/style.css", "/static/licenses.txt"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_but_reading_is_allowed(client: Client, route: str, method: str) -> None:
    response = client.open(route, method=method)
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD"
    assert "GET" in error_of(response)


@pytest.mark.parametrize("route", [*PAGES, "/static/index.js"])
def test_head_is_get_without_a_body(client: Client, route: str) -> None:
    response = client.open(route, method="HEAD", **PAGES.get(route, {}))
    assert response.status_code == 200
    assert response.get_data() == b""


@pytest.mark.parametrize(
    ("route", "query", "message"),
    [
        ("/overview", "", '"run" is missing'),
        ("/overview", "run=", '"run" is missing'),
        ("/overview", "run=healthy&run=healthy", "given 2 times"),
        ("/overview", "run=healthy&sesion=x", 'no parameter "sesion"'),
        ("/runs", "x=1", "none"),
        ("/op", "run=healthy&op=Neg_25:0&step=1.5", "must be an integer"),
        ("/op", "run=healthy&op=Neg_25:0&step=0x10", "must be an integer"),
        ("/op", "run=healthy&op=Neg_25:0&step=%D9%A3", "must be an integer"),
        ("/op", "run=healthy&op=Neg_25:0&step=" + "9" * 30, "must be an integer"),
        ("/op", "run=healthy&op=" + "x" * 5000, "longer than"),
        ("/map", "run=healthy&first_row=3", "together"),
        ("/map", "run=healthy&first_row=3&last_row=3", "together"),
        ("/map", "run=healthy&first_step=5&last_step=2", "together"),
    ],
)
def test_malformed_queries_are_named(client: Client, route: str, query: Any, message: str) -> None:
    response = client.raw(route, query)
    assert response.status_code == 400
    assert message in error_of(response)


@pytest.mark.parametrize(
    ("route", "query", "message"),
    [
        ("/overview", dict(run="nope"), 'no run "nope"'),
        ("/overview", dict(run="../healthy"), 'no run "../healthy"'),
        ("/overview", dict(run="healthy", session="x"), 'no session "x"'),
        ("/op", dict(run="healthy", op="Nope:0"), 'no op "Nope:0"'),
        ("/compare", dict(run="healthy", against="nope"), 'no run "nope"'),
    ],
)
def test_what_is_not_there_is_named(client: Client, route: str, query: Any, message: str) -> None:
    response = client.open(route, **query)
    assert response.status_code == 404
    assert message in error_of(response)


@pytest.mark.parametrize("columns", ["-5", "0", "1", "999999999"])
def test_any_number_of_columns_is_bounded(client: Client, columns: str) -> None:
    view = client.open("/map", run="healthy", columns=columns).get_json()
    assert 1 <= len(view["columns"]) <= 80


@pytest.mark.parametrize("route", ["/overview", "/verdict"])
@pytest.mark.parametrize("patience", ["-5", "0", "9" * 18])
def test_any_patience_is_answered(context: TBContext, route: str, patience: str) -> None:
    view = Client(NumericalHealthPlugin(context)).open(route, run="healthy", patience=patience).get_json()
    assert 1 <= view["judged"] <= 80
    assert (view["judged"] == 80) == (int(patience) > 0)


def test_an_error_of_ours_is_logged_and_does_not_leak(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(ProviderReader, "run", fail)
    response = client.open("/overview", run="healthy")
    assert response.status_code == 500
    assert "secret" not in error_of(response)
    assert "secret detail" in caplog.text


@pytest.mark.parametrize(
    ("name", "kind"), [("index.js", "text/javascript"), ("style.css", "text/css"), ("licenses.txt", "text/plain")]
)
def test_static_files_are_the_built_ones(client: Client, name: str, kind: str) -> None:
    response = client.open(f"/static/{name}")
    assert response.mimetype == kind
    assert response.get_data() == (ROOT / "tb_numstab" / "static" / name).read_bytes()


def test_no_route_has_a_wildcard(client: Client) -> None:
    assert not [route for route in client.routes if "*" in route]


def test_metadata(plugin: NumericalHealthPlugin) -> None:
    metadata = plugin.frontend_metadata()
    assert metadata.es_module_path in plugin.get_plugin_apps()
    assert metadata.tab_name == "Numerical health"
    assert plugin.is_active() is False

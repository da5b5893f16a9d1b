"""The plugin behind TensorBoard's own dispatcher, asked whatever a client can ask: an answer, never a 500."""

from __future__ import annotations

import json
from argparse import Namespace
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.application import TensorBoardWSGIApp
from werkzeug.test import Client, TestResponse

from tb_numstab.plugin.loader import Loader
from tests.fuzz import write_nonsense
from tests.support.readers import python_provider
from tests.support.runs import make_run

PREFIX = "/data/plugin/numstab"
RUNS = ("healthy", "nonsense")
ROUTES = tuple(
    "runs verdict progress overview op ops map interactions layers precision compare static/index.js".split()
)
PARAMETERS = tuple(
    "run session op step query first first_row last_row first_step last_step columns against".split()
    + ["kind", "effect", "certainty"]
)
WORDS = ("", "0", "-1", "80", "9" * 18, "1e9", "NaN", "../../etc/passwd", "<script>", "\x00", "naïve ∞", "x" * 5000)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    """A healthy run and one of nonsense."""
    logdir = tmp_path_factory.mktemp("logs")
    make_run("healthy", steps=8).write(logdir / "healthy")
    write_nonsense(make_run("nan_softmax_log", steps=6), logdir / "nonsense", seed=15)
    flags = Namespace(logdir=str(logdir), path_prefix="", samples_per_plugin={}, window_title="")
    return Client(TensorBoardWSGIApp(flags, [Loader()], python_provider(logdir)))


def assert_answered(response: TestResponse) -> None:
    """A whole answer: strict JSON where it is JSON, and no failure of ours."""
    assert response.status_code < 500, response.get_data(as_text=True)
    if response.mimetype == "application/json":
        json.loads(response.get_data(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def value(name: str) -> st.SearchStrategy[str]:
    """What a parameter may be given as: what it stands for, anything like it, and anything else."""
    known = {"run": RUNS, "against": RUNS, "op": ("Log_21:0", "MatMul_3:0"), "step": ("0", "5")}
    return st.sampled_from(known.get(name, ("1", "3"))) | st.sampled_from(WORDS) | st.text(max_size=20)


queries = st.lists(st.sampled_from(PARAMETERS).flatmap(lambda name: st.tuples(st.just(name), value(name))), max_size=5)


@settings(max_examples=150, deadline=None)
@given(route=st.sampled_from(ROUTES), run=st.sampled_from(RUNS), query=queries)
def test_any_query_is_answered(client: Client, route: str, run: str, query: list[tuple[str, str]]) -> None:
    pairs = [("run", run), *query] if route != "runs" else query
    text = "&".join(f"{name}={quote(word, errors='surrogatepass')}" for name, word in pairs)
    assert_answered(client.get(f"{PREFIX}/{route}?{text}"))


def test_a_sensible_query_is_answered_with_data(client: Client) -> None:
    for run in RUNS:
        for route in ("verdict", "overview", "map", "layers", "interactions", "ops"):
            response = client.get(f"{PREFIX}/{route}?run={run}")
            assert_answered(response)
            assert response.status_code == 200, (run, route)


@pytest.mark.parametrize("query", ["run=%FF%FE", "run=%", "%=1", "run", "=", "&&&", "run=healthy;op", "run[]=healthy"])
def test_a_query_that_is_none_is_refused(client: Client, query: str) -> None:
    response = client.get(f"{PREFIX}/overview?{query}")
    assert_answered(response)
    assert response.status_code in (400, 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("route", ROUTES)
def test_only_reading_is_allowed(client: Client, route: str, method: str) -> None:
    assert client.open(f"{PREFIX}/{route}?run=healthy", method=method, data=b"x" * 1000).status_code == 405


@pytest.mark.parametrize(
    "path",
    ["static/../backend.py", "static/%2e%2e/backend.py", "static/..%2f..%2fbackend.py", "static//etc/passwd",
     "static/..\\backend.py", "static/index.js/..", "static/index.js%00.txt", "static/", "../numstab/../../x", "op/op"],
)  # fmt: skip
def test_nothing_but_the_routes_is_served(client: Client, path: str) -> None:
    assert client.get(f"{PREFIX}/{path}").status_code == 404

"""The report opens from disk in a browser, without a network, and hostile names stay text."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, expect

from tb_numstab.cli.main import main
from tb_numstab.report import answers as answers_module
from tb_numstab.report.answers import answers, route_key
from tb_numstab.report.archive import Archive
from tb_numstab.report.html import build_report
from tb_numstab.schema.ops import Frame
from tb_numstab.store.event_files import read_runs
from tests.support.runs import SyntheticRun, make_run
from tests.support.synthetic import SESSION, Recorder, scaled_run

EVIL = "</script><script>window.owned = 1</script><img src=x onerror='window.owned = 1'>\u2028<!--"


@pytest.fixture(scope="module")
def report(logdir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on the four synthetic trainings."""
    path = tmp_path_factory.mktemp("report") / "health.html"
    assert main(["report", str(logdir), "-o", str(path)]) == 0
    return path


def data_of(text: str) -> dict[str, Any]:
    """What the page will unpack."""
    found = re.search(r'<script type="text/plain" id="numstab-data">(.*?)</script>', text)
    assert found is not None
    return unpacked(found[1])


def unpacked(text: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(text, validate=True)))
    return data


# ---- what it carries --------------------------------------------------------------------------


def test_report_is_small_and_whole(report: Path, logdir: Path) -> None:
    text = report.read_text()
    data = data_of(text)
    assert len(text.encode()) < 3_000_000
    assert {run["name"] for run in data["runs"]["runs"]} == {path.name for path in logdir.iterdir()}
    for run in data["runs"]["runs"]:
        assert data[route_key("overview", run=run["name"])]["verdict"]["status"]
        for page in ("verdict", "map", "interactions", "layers", "precision"):
            assert route_key(page, run=run["name"]) in data
    assert route_key("compare", run="healthy", against="nan_softmax_log") in data
    assert sum(key.startswith("op?") for key in data) > 100


def test_every_op_that_a_finding_names_has_its_page(logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "MAX_BYTES", 0)
    runs = read_runs(str(logdir))
    data = answers(runs).texts
    named = 0
    for run in runs:
        for finding in json.loads(data[route_key("overview", run=run.name)])["findings"]:
            for op, step in [(finding["op"], finding["step"]), *((h["op"], h["step"]) for h in finding["why"])]:
                page = json.loads(data[route_key("op", run=run.name, op=op["key"], step=step)])
                assert page["step"] == step
                assert route_key("op", run=run.name, op=op["key"]) in data
                named += 1
    assert named > 10


def test_large_log_gives_a_small_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scaled_run(tmp_path, slots=2000, records=40)
    runs = read_runs(str(tmp_path))
    monkeypatch.setattr(answers_module, "MAX_CELLS", 800_000)
    monkeypatch.setattr(answers_module, "CELLS_OF_A_SLOT", 0)
    assert sum(key.startswith("op?") for key in answers(runs).texts) == 11
    monkeypatch.undo()
    monkeypatch.setattr(answers_module, "MAX_BYTES", 100_000)
    held = answers(runs)
    assert 100_000 < held.size <= len(held.packed()) < 110_000
    assert sum(map(len, held.texts.values())) > 500_000


def test_session_without_a_record_yet_gives_way_to_the_one_before(small: SyntheticRun, tmp_path: Path) -> None:
    small.write(tmp_path)
    with Recorder(tmp_path, "20260101T000000-00000000") as run:
        run.ops(small.sites)
    data = answers(read_runs(str(tmp_path))).texts
    assert json.loads(data[route_key("overview", run=".")])["session"]["id"] == SESSION


def test_progress_goes_from_nothing_to_nearly_all(logdir: Path) -> None:
    calls: list[tuple[int, int]] = []
    answers(read_runs(str(logdir)), lambda what, done, total: calls.append((done, total)))
    assert calls[:4] == [(0, 4), (1, 4), (2, 4), (3, 4)]
    shares = [done for done, total in calls[4:] if total == 100]
    assert shares == sorted(shares)
    assert shares[-1] > 90


# ---- safety -----------------------------------------------------------------------------------


@given(st.dictionaries(st.text(), st.text() | st.lists(st.text())))
def test_what_is_packed_comes_back_and_cannot_end_an_element(values: dict[str, Any]) -> None:
    archive = Archive()
    for key, value in values.items():
        archive.add(key, json.dumps(value))
    text = archive.packed()
    assert unpacked(text) == values
    assert archive.size <= len(text)
    assert archive.packed() == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_route_key_is_what_javascript_writes(name: str) -> None:
    # encodeURIComponent by its definition in ECMA-262, 19.2.6.
    unreserved = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()")
    expected = "".join(c if c in unreserved else "".join(f"%{b:02X}" for b in c.encode()) for c in name)
    assert route_key("op", run=name) == f"op?run={expected}"


def test_title_is_text(logdir: Path) -> None:
    text = build_report(read_runs(str(logdir), "healthy"), EVIL)
    assert "<script>window.owned" not in text
    assert text.count("</script>") == 3


# ---- in a browser -----------------------------------------------------------------------------


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page without a network; an error or a request for anything but the file fails the test."""
    context = browser.new_context(offline=True)
    opened = context.new_page()
    troubles: list[str] = []
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    opened.on("request", lambda request: None if request.url.startswith("file:") else troubles.append(request.url))
    yield opened
    context.close()
    assert troubles == []


def test_report_opens_on_the_finding(page: Page, report: Path) -> None:
    page.goto(f"{report.as_uri()}#numstab&p.numstab.run=nan_softmax_log")
    expect(page.get_by_role("heading", name="Broken at step 57")).to_be_visible()
    expect(page.get_by_text("tf.nn.log_softmax(z)").first).to_be_visible()
    page.get_by_role("link", name="Show the evidence").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Log")
    assert "p.numstab.step=57" in page.url


def test_report_goes_from_run_to_run(page: Page, report: Path) -> None:
    page.goto(report.as_uri())
    expect(page.get_by_role("heading", name="Broken at step 2")).to_be_visible()  # the worst, by name
    page.get_by_role("button", name="choose another").click()
    page.get_by_role("dialog").get_by_role("link", name="healthy").click()
    expect(page.get_by_role("region", name="Healthy")).to_be_visible()


def test_a_report_on_paper_is_light_and_shows_what_is_folded_away(page: Page, report: Path) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(f"{report.as_uri()}#numstab&p.numstab.run=nan_softmax_log&p.numstab.op=Log_21:0")
    callers = page.locator(".callers li").first
    track = page.locator(".track").first
    expect(callers).to_be_hidden()
    on_screen = track.get_attribute("width")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    expect(callers).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    expect(page.get_by_role("button", name="Copy link")).to_be_hidden()
    assert int(track.get_attribute("width") or 0) < min(940, int(on_screen or 0))
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(callers).to_be_hidden()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(track).to_have_attribute("width", on_screen or "")


def test_a_report_says_which_part_of_a_run_it_holds(page: Page, small: SyntheticRun, tmp_path: Path) -> None:
    small.write(tmp_path)
    with Recorder(tmp_path, "20260101T000000-00000000") as run:
        run.ops(small.sites)
    (tmp_path / "report.html").write_text(build_report(read_runs(str(tmp_path)), "two parts"))
    page.goto((tmp_path / "report.html").as_uri())
    expect(page.get_by_text("recorded in 2 parts")).to_contain_text("This report is of part 1, 10 measured steps.")


@pytest.mark.parametrize("view", ["overview", "map", "interactions", "layers", "compare&p.numstab.against=healthy"])
def test_every_page_of_a_run_is_there(page: Page, report: Path, view: str) -> None:
    page.goto(f"{report.as_uri()}#numstab&p.numstab.run=nan_softmax_log&p.numstab.view={view}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text("This page is not part of the report.")).to_have_count(0)


def test_a_report_offers_nothing_that_only_a_server_can_do(page: Page, report: Path) -> None:
    link = f"{report.as_uri()}#numstab&p.numstab.run=nan_softmax_log"
    # A link from a live TensorBoard may narrow down what the report holds as a whole.
    page.goto(f"{link}&p.numstab.view=map&p.numstab.steps=50-60&p.numstab.rows=4-20")
    expect(page.locator(".map-zoom")).to_have_text(re.compile(r"^\d+ tensors, steps 0–79\."))
    expect(page.locator(".map-zoom button")).to_have_count(0)
    expect(page.locator(".map-readout")).not_to_contain_text("zoom")
    expect(page.get_by_role("searchbox")).to_have_count(0)
    page.goto(f"{link}&p.numstab.session={SESSION}&p.numstab.view=interactions&p.numstab.effect=overflows")
    expect(page.get_by_role("heading", level=1)).to_have_text("Disparate scales")
    expect(page.get_by_role("combobox", name="Effect")).to_have_count(0)


def test_page_that_is_not_in_the_report_says_so(page: Page, report: Path) -> None:
    page.goto(f"{report.as_uri()}#numstab&p.numstab.run=healthy&p.numstab.op=nothing")
    expect(page.get_by_text("This page is not part of the report.")).to_be_visible()


def test_hostile_names_stay_text(page: Page, tmp_path: Path) -> None:
    run = make_run("nan_softmax_log", steps=60)
    frame = Frame(f"{EVIL}.py", 38, EVIL, EVIL)
    sites = tuple(replace(s, name=f"{EVIL}{i}", layer=EVIL, frames=(frame,)) for i, s in enumerate(run.sites))
    replace(run, sites=sites).write(tmp_path / "logs" / "a'\"<b>&run")
    path = tmp_path / "health.html"
    assert main(["report", str(tmp_path / "logs"), "-o", str(path)]) == 0
    page.goto(path.as_uri())
    expect(page.get_by_role("heading", name="Broken at step 57")).to_be_visible()
    expect(page.get_by_text("window.owned = 1").first).to_be_visible()
    page.get_by_role("link", name="Show the evidence").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Log")
    assert page.evaluate("window.owned") is None


def test_script_that_gets_in_anyway_does_not_run(browser: Browser, report: Path, tmp_path: Path) -> None:
    path = tmp_path / "health.html"
    path.write_text(report.read_text().replace("</body>", "<script>window.owned = 1</script></body>"))
    with browser.new_page() as opened:
        opened.goto(path.as_uri())
        assert opened.evaluate("window.owned") is None

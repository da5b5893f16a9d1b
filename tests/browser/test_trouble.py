"""What the tab says when there is nothing to show, or something is wrong with the server."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.tab import Tab, link

RUNS = "**/data/plugin/numstab/runs"
OVERVIEW = "**/data/plugin/numstab/overview*"
PROGRESS = "**/data/plugin/numstab/progress*"


def answer(body: object, status: int = 200) -> Callable[[Route], None]:
    return lambda route: route.fulfill(status=status, content_type="application/json", body=json.dumps(body))


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"api": 1, "runs": []}, 200, "has been watched yet"),
        ({"api": 2, "runs": []}, 200, "different versions"),
        ({"error": {"code": 500, "message": "An error in tb-numstab; see the log."}}, 500, "An error in tb-numstab"),
        ("<html>", 502, "TensorBoard answered with status 502."),
    ],
)
def test_the_list_of_runs_is_not_to_be_had(own_tab: Tab, body: object, status: int, says: str) -> None:
    own_tab.page.route(RUNS, answer(body, status))
    expect(own_tab.open().locator(".empty")).to_contain_text(says)
    own_tab.errors.clear()  # The browser's own remark on the status.


def test_how_to_watch_a_training_is_shown_to_who_has_none(own_tab: Tab) -> None:
    own_tab.page.route(RUNS, answer({"api": 1, "runs": []}))
    frame = own_tab.open()
    expect(frame.locator(".sample").first).to_contain_text("@tb_numstab.watch")
    expect(frame.locator(".sample").last).to_contain_text("NumericalHealth")


def test_a_training_that_has_not_logged_a_step_yet(own_tab: Tab) -> None:
    def without_records(route: Route) -> None:
        overview = route.fetch().json()
        route.fulfill(json=overview | {"verdict": None, "findings": []})

    own_tab.page.route(OVERVIEW, without_records)
    expect(own_tab.open(run="healthy").locator(".empty")).to_contain_text("No step has been recorded yet")


def test_a_long_run_tells_how_far_reading_it_has_come(own_tab: Tab) -> None:
    waiting: list[Route] = []
    own_tab.page.route(OVERVIEW, lambda route: waiting.append(route))
    own_tab.page.route(PROGRESS, answer({"run": "healthy", "session": "s", "done": 1340, "total": 2000}))
    own_tab.page.goto(own_tab.address + link(run="healthy"))
    reading = own_tab.frame.get_by_role("status").filter(has_text="Looking at the measurements")
    expect(reading).to_contain_text("1,340 of 2,000 measured steps")
    expect(reading.get_by_role("progressbar")).to_have_js_property("value", 1340)
    waiting[0].continue_()
    expect(own_tab.frame.get_by_role("heading", level=1)).to_have_text("Healthy")
    expect(reading).to_have_count(0)


def test_a_verdict_on_a_part_says_so_until_it_is_on_all(own_tab: Tab) -> None:
    judged = 30

    def judged_so_far(route: Route) -> None:
        assert "patience=" in route.request.url
        route.fulfill(json=route.fetch().json() | {"judged": judged})

    own_tab.page.route(OVERVIEW, judged_so_far)
    frame = own_tab.open(run="healthy")
    part = frame.get_by_role("status").filter(has_text="Judged so far")
    expect(part).to_contain_text("the first 30 of 80 measured steps")
    expect(frame.get_by_role("heading", level=1)).to_have_text("Healthy so far")
    judged = 60
    expect(part).to_contain_text("the first 60 of 80 measured steps")
    judged = 80
    expect(part).to_have_count(0)
    expect(frame.get_by_role("heading", level=1)).to_have_text("Healthy")


def test_what_is_missing_leads_back_to_the_run(own_tab: Tab) -> None:
    frame = own_tab.open(run="healthy", op="Nope:0")
    frame.get_by_role("link", name="Overview of the run").click()
    expect(frame.get_by_role("heading", level=1)).to_have_text("Healthy")
    own_tab.errors.clear()  # The browser's own remark on the status.


def test_what_could_not_be_read_is_told_beside_what_could(own_tab: Tab) -> None:
    def with_problem(route: Route) -> None:
        overview = route.fetch().json()
        overview["problems"] = ["Written with schema 9, this tb-numstab reads up to 1: upgrade tb-numstab."]
        overview["notes"] = ["Measured without jit."]
        route.fulfill(json=overview)

    own_tab.page.route(OVERVIEW, with_problem)
    frame = own_tab.open(run="nan_softmax_log")
    expect(frame.get_by_text("upgrade tb-numstab")).to_be_visible()
    expect(frame.get_by_text("Measured without jit.")).to_be_visible()
    expect(frame.get_by_role("heading", level=1)).to_have_text("Broken at step 57")


def test_a_server_that_is_gone(own_tab: Tab) -> None:
    frame = own_tab.open(run="healthy")
    own_tab.page.route("**/data/plugin/numstab/**", lambda route: route.abort())
    frame.get_by_role("link", name="Health map").click()
    expect(frame.locator("main")).to_contain_text("TensorBoard does not answer. Is it still running?")
    own_tab.page.unroute("**/data/plugin/numstab/**")
    frame.get_by_role("button", name="Try again").click()
    expect(frame.get_by_role("heading", level=1)).to_have_text("Health map")
    own_tab.errors.clear()  # The browser's own remark on the connection.


def test_a_server_that_is_gone_takes_nothing_off_the_page(own_tab: Tab) -> None:
    frame = own_tab.open(run="healthy")
    own_tab.page.route("**/data/plugin/numstab/**", lambda route: route.abort())
    own_tab.page.locator(".reload-button").click()
    expect(frame.get_by_role("status").filter(has_text="TensorBoard does not answer")).to_be_visible()
    expect(frame.get_by_role("heading", level=1)).to_have_text("Healthy")
    own_tab.errors.clear()


def test_long_names_do_not_widen_the_page(own_tab: Tab) -> None:
    long = "a_name_without_a_place_to_break_it_" * 8

    def lengthened(route: Route) -> None:
        overview = route.fetch().json()
        finding = overview["findings"][0]
        finding["op"]["name"] = finding["summary"] = finding["op"]["source"]["function"] = long
        finding["why"][0]["text"] = overview["verdict"]["text"] = long
        route.fulfill(json=overview)

    own_tab.page.route(OVERVIEW, lengthened)
    own_tab.open(run="nan_softmax_log")
    assert own_tab.document.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_long_names_in_a_table_give_way_to_what_it_says(own_tab: Tab) -> None:
    def lengthened(route: Route) -> None:
        page = route.fetch().json()
        for interaction in page["interactions"]:
            interaction["op"]["layer"] = interaction["op"]["source"]["file"] = "a_name_without_a_place_to_break_it_" * 8
        route.fulfill(json=page)

    own_tab.page.route("**/data/plugin/numstab/interactions*", lengthened)
    own_tab.page.set_viewport_size({"width": 1280, "height": 900})
    sentence = own_tab.open(run="fp16_overflow", view="interactions").get_by_role("row").last.get_by_role("cell").last
    box = sentence.bounding_box()
    assert box and box["x"] + box["width"] <= 1280


def test_names_from_a_log_are_text_and_nothing_else(own_tab: Tab) -> None:
    evil = "<img src=x onerror=\"document.title='owned'\">"

    def poisoned(route: Route) -> None:
        overview = route.fetch().json()
        finding = overview["findings"][0]
        finding["title"] = finding["summary"] = finding["fix"]["before"] = evil
        finding["op"]["name"] = finding["op"]["source"]["text"] = evil
        route.fulfill(json=overview)

    own_tab.page.route(OVERVIEW, poisoned)
    frame = own_tab.open(run="nan_softmax_log")
    expect(frame.get_by_role("heading", name=evil)).to_be_visible()
    expect(frame.locator(".finding img")).to_have_count(0)
    assert own_tab.document.title() != "owned"


@pytest.fixture
def notebook(tmp_path: Path, address: str) -> Iterator[str]:
    """The address of a page of another server that shows the tab in a frame, as a notebook does."""
    source = f"{address}{link(run='nan_softmax_log')}"
    (tmp_path / "notebook.html").write_text(f'<iframe width="1200" height="800" src="{source}"></iframe>')
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("localhost", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/notebook.html"
        server.shutdown()


def test_inside_a_notebooks_frame(browser: Browser, notebook: str) -> None:
    page = browser.new_page()
    page.goto(notebook)
    frame = page.frame_locator("iframe").frame_locator("iframe")
    heading = frame.get_by_role("heading", level=1)
    expect(heading).to_have_text("Broken at step 57", timeout=15_000)
    frame.get_by_role("link", name="Health map").click()
    expect(heading).to_have_text("Health map")
    page.close()


def test_the_list_waits_for_the_verdict_on_all_of_a_run(own_tab: Tab) -> None:
    asked: list[str] = []

    def judged_so_far(route: Route) -> None:
        assert "patience=" in route.request.url
        answer = route.fetch().json()
        asked.append(answer["run"])
        part = answer["run"] == "nan_softmax_log" and "nan_softmax_log" not in asked[:-1]
        route.fulfill(json=answer | ({"judged": 30} if part else {}))

    own_tab.page.route("**/verdict?**", judged_so_far)
    frame = own_tab.open(run="healthy")
    expect(frame.get_by_text("Logarithm of zero", exact=False).first).to_be_visible()
    assert asked.count("nan_softmax_log") == 2

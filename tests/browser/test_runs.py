"""Finding the run one wants among many."""

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, FrameLocator, Locator, Route, expect

from tests.browser.tab import Tab, tab_of_its_own

BROKEN = {"run 7": "Logarithm of zero at step 57, train.py:38.", "run 12": "Sum overflows at step 9, loss.py:4."}


def listed(route: Route) -> None:
    """The one run there is, under forty more names."""
    runs = route.fetch().json()
    healthy = next(run for run in runs["runs"] if run["name"] == "healthy")
    copies = [healthy | {"name": f"run {i}"} for i in range(40)]
    route.fulfill(json=runs | {"runs": [healthy, *copies]})


def judged(route: Route) -> None:
    """The verdicts on those runs: two are broken."""
    [run] = parse_qs(urlsplit(route.request.url).query)["run"]
    status = "broken" if run in BROKEN else "healthy"
    verdict = {"status": status, "text": BROKEN.get(run, "No numerical problem."), "step": 3}
    route.fulfill(content_type="application/json", body=json.dumps({"run": run, "verdict": verdict}))


@pytest.fixture
def frame(browser: Browser, address: str) -> Iterator[FrameLocator]:
    """The overview of one healthy run among forty-one."""
    with tab_of_its_own(browser, address) as tab:
        tab.page.route("**/data/plugin/numstab/runs", listed)
        tab.page.route("**/data/plugin/numstab/verdict*", judged)
        yield tab.open(run="healthy")


@pytest.fixture
def runs(frame: FrameLocator) -> Locator:
    """The list of all runs, whose verdicts are known."""
    region = frame.get_by_role("region", name="All runs")
    expect(region.get_by_role("button", name="39 healthy")).to_be_visible()
    return region


def test_the_worst_come_first_and_the_rest_on_demand(runs: Locator) -> None:
    names = runs.get_by_role("listitem").get_by_role("link")
    expect(names).to_have_count(12)
    assert names.all_text_contents()[:5] == ["run 7", "run 12", "healthy", "run 0", "run 1"]
    runs.get_by_role("button", name="Show all 41 runs").click()
    expect(names).to_have_count(41)
    expect(names.last).to_have_text("run 39")


def test_a_run_is_found_by_its_name_or_by_what_is_wrong(runs: Locator) -> None:
    names = runs.get_by_role("listitem").get_by_role("link")
    search = runs.get_by_role("searchbox", name="Find a run")
    search.fill("train.py zero")
    expect(names).to_have_text(["run 7"])
    search.fill("39")
    expect(names).to_have_text(["run 39"])
    search.fill("nothing like it")
    expect(runs).to_contain_text("No run of 41 is like that.")


def test_runs_of_one_verdict_are_looked_at_alone(runs: Locator) -> None:
    names = runs.get_by_role("listitem").get_by_role("link")
    broken = runs.get_by_role("button", name="2 broken")
    broken.click()
    expect(broken).to_have_attribute("aria-pressed", "true")
    expect(names).to_have_text(["run 7", "run 12"])
    broken.click()
    expect(names).to_have_count(12)


def test_another_run_is_chosen_by_keyboard_from_any_page(tab: Tab) -> None:
    frame = tab.open(run="nan_softmax_log", view="layers")
    choice = frame.get_by_role("button", name="Run nan_softmax_log, broken: choose another")
    choice.press("Enter")
    dialog = frame.get_by_role("dialog", name="Choose a run")
    expect(dialog.get_by_role("link").first).to_be_focused()
    tab.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(choice).to_be_focused()
    choice.press("Enter")
    expect(dialog.get_by_role("link").first).to_be_focused()
    dialog.get_by_role("link", name="fp16_overflow").press("Enter")
    expect(dialog).to_have_count(0)
    expect(frame.get_by_role("heading", level=1)).to_have_text("Layers and training")
    assert "p.numstab.run=fp16_overflow&p.numstab.view=layers" in tab.page.url


def test_a_click_elsewhere_closes_the_choice(frame: FrameLocator) -> None:
    frame.get_by_role("button", name="choose another").click()
    dialog = frame.get_by_role("dialog", name="Choose a run")
    expect(dialog.get_by_role("searchbox")).to_be_focused()
    dialog.get_by_role("searchbox").fill("run 12")
    expect(dialog.get_by_role("listitem")).to_have_count(1)
    frame.get_by_role("main").click(position={"x": 1200, "y": 10})
    expect(dialog).to_have_count(0)

"""Themes, sizes, keyboard, accessibility, reloading, and what it costs."""

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.tab import Tab
from tests.plugin.tensorboard_process import tensorboard
from tests.support.runs import make_run
from tests.support.synthetic import Recorder, scaled_run

AXE = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"

PAGES: dict[str, dict[str, object]] = {
    "overview": dict(run="nan_softmax_log"),
    "healthy": dict(run="healthy"),
    "op": dict(run="fp16_overflow", op="Mul_18:0", step=33),
    "map": dict(run="nan_softmax_log", view="map"),
    "interactions": dict(run="fp16_overflow", view="interactions"),
    "layers": dict(run="fp16_overflow", view="layers"),
    "compare": dict(run="nan_softmax_log", view="compare", against="healthy"),
}


def test_the_theme_follows_tensorboard(tab: Tab) -> None:
    tab.open(**PAGES["op"])
    background = "getComputedStyle(document.documentElement).backgroundColor"
    light = tab.document.evaluate(background)
    tab.page.evaluate("document.body.classList.add('dark-mode')")
    expect(tab.frame.locator("html")).to_have_attribute("data-theme", "dark")
    assert tab.document.evaluate(background) != light
    tab.page.evaluate("document.body.classList.remove('dark-mode')")
    expect(tab.frame.locator("html")).to_have_attribute("data-theme", "light")
    assert tab.document.evaluate(background) == light


@pytest.mark.parametrize("width", [360, 3840])
def test_pages_fit_every_screen(tab: Tab, width: int) -> None:
    tab.page.set_viewport_size({"width": width, "height": 900})
    tab.open(run="healthy")
    for name, state in PAGES.items():
        tab.go(**state)
        wider = tab.document.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{name} at {width} px"


def test_on_a_telephone_nothing_hides_beside_the_screen(tab: Tab) -> None:
    tab.page.set_viewport_size({"width": 360, "height": 900})
    frame = tab.open(**PAGES["interactions"])
    for part in (frame.get_by_role("link", name="Compare"), frame.locator(".gap-effect + p").first):
        box = part.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 360


def test_the_steps_of_a_long_map_stay_in_sight(tab: Tab) -> None:
    frame = tab.open(**PAGES["map"])
    tab.document.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    expect(frame.locator(".map-head .step-axis")).to_be_in_viewport()
    bar, head = frame.locator(".bar").bounding_box(), frame.locator(".map-head").bounding_box()
    assert bar and head and abs(head["y"] - bar["y"] - bar["height"]) <= 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_accessibility_violation(tab: Tab, theme: str) -> None:
    tab.open(run="healthy")
    tab.page.evaluate("(dark) => document.body.classList.toggle('dark-mode', dark)", theme == "dark")
    tab.document.evaluate(AXE.read_text())
    for name, state in PAGES.items():
        tab.go(**state)
        found = tab.document.evaluate("axe.run(document, {resultTypes: ['violations']})")
        serious = [
            f"{v['id']}: {v['nodes'][0]['html'][:160]} {v['nodes'][0]['failureSummary'][:200]}"
            for v in found["violations"]
            if v["impact"] in ("serious", "critical")
        ]
        assert serious == [], name


def test_the_keyboard_walks_the_graph(tab: Tab) -> None:
    frame = tab.open(**PAGES["op"])
    neighbours = frame.get_by_role("region", name="Neighbours")
    neighbours.get_by_role("link").first.focus()
    tab.page.keyboard.press("ArrowDown")
    expect(neighbours.get_by_role("link").nth(1)).to_be_focused()
    tab.page.keyboard.press("ArrowRight")
    consumers = neighbours.locator("[data-column]").last.get_by_role("link")
    expect(consumers.nth(1)).to_be_focused()
    tab.page.keyboard.press("ArrowUp")
    expect(consumers.first).to_be_focused()
    tab.page.keyboard.press("Enter")
    expect(frame.get_by_role("heading", level=1)).to_contain_text("MatMul")
    assert "p.numstab.step=33" in tab.page.url


def test_the_keyboard_reads_and_opens_the_map(tab: Tab) -> None:
    frame = tab.open(**PAGES["map"])
    cells = frame.get_by_role("application", name="Health map cells")
    cells.focus()
    tab.page.keyboard.press("ArrowDown")
    tab.page.keyboard.press("End")
    readout = frame.locator(".map-readout")
    expect(readout).to_contain_text("step 79")
    tab.page.keyboard.press("+")
    expect(frame.locator(".map-zoom")).to_contain_text("steps 40–79")
    tab.page.keyboard.press("Escape")
    expect(frame.locator(".map-zoom")).to_contain_text("steps 0–79")
    tab.page.keyboard.press("ArrowDown")
    tab.page.keyboard.press("Enter")
    expect(frame.get_by_role("heading", level=1)).to_contain_text("Placeholder y_1")


def test_a_drag_over_the_map_zooms_into_steps(tab: Tab) -> None:
    frame = tab.open(**PAGES["map"])
    box = frame.locator(".map-canvas canvas").bounding_box()
    assert box
    y = box["y"] + 40
    tab.page.mouse.move(box["x"] + box["width"] * 0.5, y)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + box["width"] * 0.7, y, steps=4)
    tab.page.mouse.up()
    expect(frame.get_by_role("button", name="All steps")).to_be_visible()
    expect(frame.locator(".map-zoom")).to_contain_text("steps 40–56")


def test_focus_goes_to_the_new_page(tab: Tab) -> None:
    frame = tab.open(run="nan_softmax_log")
    frame.get_by_role("link", name="Health map").press("Enter")
    expect(frame.get_by_role("heading", name="Health map")).to_be_focused()


def test_opening_the_tab_is_cheap(tab: Tab) -> None:
    tab.open(**PAGES["overview"])
    tab.page.wait_for_load_state("networkidle")
    own = tab.own_requests()
    routes = [r.url.split("/numstab/")[-1].split("?")[0] for r in own]
    # One answer each; the verdicts of the other runs come one after the other.
    for route in ("runs", "overview", "op", "static/index.js", "static/style.css"):
        assert routes.count(route) == 1, routes
    sizes = [r.sizes()["responseBodySize"] for r in own]
    assert len(own) <= 12
    assert sum(sizes) < 150_000


@dataclass
class Training:
    """A log folder with a training in progress, and the TensorBoard that looks at it every second."""

    live: Recorder
    address: str


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Training]:
    folder = tmp_path_factory.mktemp("training")
    for session, name in (("20250101T000000-first", "nan_softmax_log"), ("20250102T000000-second", "healthy")):
        with Recorder(folder / "logs" / "restarted", session) as recorder:
            run = make_run(name, steps=60)
            recorder.ops(run.sites)
            for record in run.records:
                recorder.step(dataclasses.replace(record, session=session))
    scaled_run(folder / "logs" / "large", slots=3000, records=3)
    run = make_run("nan_softmax_log")
    with Recorder(folder / "logs" / "live") as live:
        live.ops(run.sites)
        for record in run.records[:30]:
            live.step(record)
        live.flush()
        with tensorboard(folder / "logs", "--reload_interval=1", log=folder / "log.txt") as address:
            yield Training(live, address)


@pytest.fixture
def training_tab(browser: Browser, training: Training) -> Iterator[Tab]:
    page = browser.new_page()
    tab = Tab(page, training.address)
    yield tab
    tab.assert_clean()
    page.close()


def test_a_running_training_is_followed(training_tab: Tab, training: Training) -> None:
    frame = training_tab.open(run="live")
    heading = frame.get_by_role("heading", level=1)
    expect(heading).to_have_text("At risk")  # a logarithm of a softmax, which has not met its 0 yet
    for record in make_run("nan_softmax_log").records[30:]:
        training.live.step(record)
    training.live.flush()
    training_tab.page.wait_for_timeout(2500)
    training_tab.page.locator(".reload-button").click()
    expect(heading).to_have_text("Broken at step 57")


def test_a_restart_hides_nothing_and_links_name_the_part(training_tab: Tab) -> None:
    frame = training_tab.open(run="restarted")
    heading = frame.get_by_role("heading", level=1)
    expect(heading).to_have_text("Healthy")
    training_tab.document.evaluate("document.execCommand = () => false")
    training_tab.document.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    frame.get_by_role("button", name="Copy link").click()
    expect(frame.get_by_role("textbox")).to_have_value(re.compile("session=20250102T000000-second"))
    frame.get_by_role("button", name="Close").click()
    frame.get_by_role("combobox", name="recorded in 2 parts").select_option(index=0)
    expect(heading).to_have_text("Broken at step 57")
    assert "p.numstab.session=20250101T000000-first" in training_tab.page.url


def test_a_large_map_is_opened_level_by_level(training_tab: Tab) -> None:
    frame = training_tab.open(run="large", view="map")
    cells = frame.get_by_role("application", name="Health map cells")
    labels = frame.locator(".map-label")
    expect(frame.locator(".map-zoom")).to_contain_text("3,000 tensors")
    expect(labels.first).to_have_text("sequential/dense_0 …")
    cells.click(position={"x": 20, "y": 5})
    expect(frame.locator(".map-group").first).to_have_text("sequential/dense_0")
    cells.click(position={"x": 20, "y": 30})
    expect(frame.get_by_role("heading", level=1)).to_contain_text("MatMul sequential/dense_0/MatMul")
    training_tab.page.go_back()
    frame.get_by_role("button", name="All tensors").click()
    expect(labels.first).to_have_text("sequential/dense_0 …")

"""Themes, sizes, keyboard, accessibility, and what it costs."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.tab import Tab

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


@pytest.mark.parametrize("width", [800, 1280])
def test_the_steps_of_a_long_map_stay_in_sight(tab: Tab, width: int) -> None:
    tab.page.set_viewport_size({"width": width, "height": 900})
    frame = tab.open(**PAGES["map"])
    tab.document.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    expect(frame.locator(".map-head .step-axis")).to_be_in_viewport()
    on_top = """() => {
      const axis = document.querySelector('.map-head .step-axis').getBoundingClientRect();
      return document.elementFromPoint(axis.left + 5, axis.top + 5).closest('section, header').className;
    }"""
    assert tab.document.evaluate(on_top) == "card"


def test_nothing_fades_for_those_who_want_no_motion(own_tab: Tab) -> None:
    frame = own_tab.open(**PAGES["healthy"])
    frame.get_by_role("button", name="Copy link").click()
    toast = frame.locator(".toast")
    expect(toast).to_have_css("animation-timing-function", "ease")
    own_tab.page.emulate_media(reduced_motion="reduce")
    expect(toast).to_have_css("animation-timing-function", "steps(1)")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_accessibility_violation(tab: Tab, theme: str) -> None:
    tab.open(run="healthy")
    tab.page.evaluate("(dark) => document.body.classList.toggle('dark-mode', dark)", theme == "dark")
    tab.document.evaluate(AXE.read_text())
    for name, state in PAGES.items():
        frame = tab.go(**state)
        if name == "healthy":
            frame.get_by_role("button", name="choose another").click()
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
    tab.page.mouse.move(box["x"] + box["width"] * 0.505, y)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + box["width"] * 0.705, y, steps=4)
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

"""Every state has a link, and the link opens it anywhere."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.tab import Tab, tab_of_its_own
from tests.support.synthetic import SESSION
from tests.support.tensorboard_process import tensorboard

STATES: dict[str, dict[str, object]] = {
    "Broken at step 57": dict(run="nan_softmax_log"),
    "Log Log_21": dict(run="nan_softmax_log", op="Log_21:0", step=57),
    "Health map": dict(run="nan_softmax_log", view="map", metric="under", rows="4-20", steps="50-60"),
    "Disparate scales": dict(run="fp16_overflow", view="interactions", step=33, kind="product", effect="overflows"),
    "Layers and training": dict(run="fp16_overflow", view="layers", step=20),
    "Compare nan_softmax_log": dict(run="nan_softmax_log", view="compare", against="healthy"),
}


@pytest.mark.parametrize("heading", STATES)
def test_a_cold_link_opens_its_state_and_keeps_it(tab: Tab, heading: str) -> None:
    frame = tab.open(**STATES[heading])
    expect(frame.get_by_role("heading", level=1)).to_contain_text(heading)
    opened = tab.page.url
    tab.page.reload()
    expect(frame.get_by_role("heading", level=1)).to_contain_text(heading)
    assert tab.page.url == opened


def test_the_map_shows_the_part_its_link_names(tab: Tab) -> None:
    frame = tab.open(**STATES["Health map"])
    expect(frame.locator(".map-zoom")).to_contain_text("16 of 81 tensors, steps 50–59")
    expect(frame.locator(".map-head .step-axis li").first).to_have_text("50")
    expect(frame.locator(".map-head .step-axis li").last).to_have_text("59")
    expect(frame.get_by_role("button", name="To underflow")).to_have_attribute("aria-pressed", "true")


def test_without_a_run_the_latest_is_shown_and_named(tab: Tab) -> None:
    tab.open()
    expect(tab.frame.get_by_role("heading", level=1)).to_be_visible()
    assert "p.numstab.run=" in tab.page.url


def test_back_and_forward(tab: Tab) -> None:
    frame = tab.open(run="nan_softmax_log")
    heading = frame.get_by_role("heading", level=1)
    frame.get_by_role("link", name="Health map").click()
    expect(heading).to_have_text("Health map")
    frame.get_by_role("link", name="Layers").click()
    expect(heading).to_have_text("Layers and training")
    tab.page.go_back()
    expect(heading).to_have_text("Health map")
    tab.page.go_back()
    expect(heading).to_have_text("Broken at step 57")
    tab.page.go_forward()
    expect(heading).to_have_text("Health map")


def test_going_back_leads_to_where_one_was(tab: Tab) -> None:
    tab.page.set_viewport_size({"width": 1280, "height": 500})
    frame = tab.open(run="fp16_overflow", view="map")
    last = frame.locator(".map-label").last
    last.scroll_into_view_if_needed()
    frame.get_by_role("link", name="Overview").click()
    expect(frame.get_by_role("heading", level=1)).to_be_in_viewport()
    tab.page.go_back()
    expect(last).to_be_in_viewport()


def test_coming_back_from_another_tab_of_tensorboard_finds_the_state(tab: Tab) -> None:
    frame = tab.open(run="nan_softmax_log", view="map")
    tab.page.evaluate("location.hash = '#timeseries'")
    expect(tab.page.locator("iframe")).not_to_be_visible()
    tab.page.evaluate("location.hash = '#numstab'")
    expect(frame.get_by_role("heading", level=1)).to_have_text("Health map")
    expect(tab.page).to_have_url(re.compile("view=map"))


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (dict(run="no such run"), 'There is no watched run "no such run"'),
        (dict(run="healthy", op="Nope:0"), 'This session has no op "Nope:0".'),
        (dict(run="healthy", session="x"), 'no session "x"'),
        (dict(run="healthy", view="compare", against="gone"), 'There is no run "gone"'),
    ],
)
def test_a_link_to_something_missing_says_so(tab: Tab, state: dict[str, object], says: str) -> None:
    frame = tab.open(**state)
    expect(frame.locator("main")).to_contain_text(says)
    tab.expect_missing()


def test_a_step_that_was_not_recorded_is_told(tab: Tab) -> None:
    frame = tab.open(run="healthy", op="Neg_25:0", step=12345)
    expect(frame.locator("main")).to_contain_text("Step 12345 was not recorded")
    expect(frame.get_by_text("Step 79", exact=True)).to_be_visible()


NO_CLIPBOARD = "Object.defineProperty(Navigator.prototype, 'clipboard', {get: () => undefined})"
NO_COPYING = "document.execCommand = () => false"


def pasted(tab: Tab) -> str:
    """What the clipboard holds, found out by pasting it."""
    document = tab.document
    document.evaluate("document.querySelector('input[type=search]').value = ''")
    tab.frame.get_by_role("searchbox").focus()
    tab.page.keyboard.press("Control+V")
    return str(document.evaluate("document.querySelector('input[type=search]').value"))


def test_copy_link_on_plain_http_opens_the_same_picture_elsewhere(own_tab: Tab, browser: Browser) -> None:
    own_tab.page.add_init_script(NO_CLIPBOARD)
    frame = own_tab.open(run="fp16_overflow", step=33, op="Mul_18:0")
    frame.get_by_role("button", name="Copy link").click()
    expect(frame.get_by_text("Link copied.")).to_be_visible()
    copied = pasted(own_tab)
    session = f"&p.numstab.session={SESSION}"
    assert session in copied  # so that a restart of the training does not change what the link shows
    assert copied.replace(session, "") == own_tab.page.url
    other = browser.new_context().new_page()
    other.goto(copied)
    expect(other.frame_locator("iframe").get_by_role("heading", level=1)).to_contain_text("Mul Mul_18")
    other.context.close()


def test_where_copying_is_refused_the_link_is_shown_selected(own_tab: Tab) -> None:
    own_tab.page.add_init_script(f"{NO_CLIPBOARD}; {NO_COPYING}")
    frame = own_tab.open(run="healthy")
    frame.get_by_role("button", name="Copy link").click()
    field = frame.get_by_role("textbox", name=re.compile("does not let this page copy"))
    expect(field).to_have_value(f"{own_tab.page.url}&p.numstab.session={SESSION}")
    assert own_tab.document.evaluate("document.activeElement.selectionEnd") == len(field.input_value())
    field.press("Escape")
    expect(field).to_have_count(0)
    expect(frame.get_by_role("button", name="Copy link")).to_be_focused()


def test_a_finding_is_copied_as_markdown(own_tab: Tab) -> None:
    own_tab.page.add_init_script(NO_CLIPBOARD)
    frame = own_tab.open(run="nan_softmax_log")
    frame.get_by_role("button", name="Copy as Markdown").first.click()
    text = pasted(own_tab)
    assert text.startswith("### Logarithm of zero")
    assert "`train.py:38`" in text
    assert "p.numstab.op=Log_21%3A0" in text
    assert f"p.numstab.session={SESSION}" in text


def test_the_python_loader_and_a_path_prefix_make_no_difference(browser: Browser, logdir: Path, tmp_path: Path) -> None:
    server = tensorboard(logdir, "--load_fast=false", log=tmp_path / "log.txt", path_prefix="/team/tb")
    with server as address, tab_of_its_own(browser, address) as tab:
        frame = tab.open(run="nan_softmax_log", op="Log_21:0", step=57)
        expect(frame.get_by_role("heading", level=1)).to_contain_text("Log Log_21")
        frame.get_by_role("link", name="Overview").click()
        expect(frame.get_by_role("heading", level=1)).to_have_text("Broken at step 57")
        assert "/team/tb/#numstab" in tab.page.url

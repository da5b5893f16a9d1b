"""What people read: the first look, the op page, the other pages."""

import re

import pytest
from playwright.sync_api import Route, expect

from tests.browser.tab import Tab

LOG = dict(run="nan_softmax_log", op="Log_21:0", step=57)
MUL = dict(run="fp16_overflow", op="Mul_18:0", step=33)


def test_the_broken_run_explains_itself_without_a_click(tab: Tab) -> None:
    frame = tab.open(run="nan_softmax_log")
    expect(frame.get_by_role("heading", level=1)).to_have_text("Broken at step 57")
    card = frame.get_by_role("article", name="Logarithm of zero")
    expect(card.get_by_text("train.py:38").first).to_be_visible()
    expect(card.locator(".source-text")).to_contain_text("tf.math.log(p)")
    expect(card.locator(".chain > li").last).to_contain_text("Softmax")
    expect(card.locator(".diff-after")).to_contain_text("tf.nn.log_softmax")
    ruler = card.get_by_test_id("ruler")
    expect(ruler.locator(".ruler-rows > li")).to_have_count(2)
    expect(ruler).to_contain_text(re.compile(r"1 −∞"))


def test_ops_that_passed_it_on_are_folded_and_the_findings_own_is_not(tab: Tab) -> None:
    frame = tab.open(run="nan_softmax_log")
    why = frame.get_by_role("article", name="Logarithm of zero").locator(".chain").first
    expect(why.get_by_text(re.compile(r"^\d+ ops passed it on$"))).to_be_visible()
    expect(why.get_by_role("link", name="Log Log_21")).to_be_visible()


def test_what_was_said_before_the_error_stands_apart_from_its_causes(tab: Tab) -> None:
    frame = tab.open(run="nan_softmax_log")
    card = frame.get_by_role("article", name="Logarithm of zero")
    expect(card.locator(".foreseen")).to_contain_text("arned of since step 0")
    expect(card.locator(".chain").first).not_to_contain_text("warning")


def test_one_click_reaches_the_evidence(tab: Tab) -> None:
    frame = tab.open(run="nan_softmax_log")
    frame.get_by_role("article", name="Logarithm of zero").get_by_role("link", name="Show the evidence").click()
    expect(frame.get_by_role("heading", level=1)).to_contain_text("Log Log_21")
    assert "p.numstab.op=Log_21%3A0" in tab.page.url
    assert "p.numstab.step=57" in tab.page.url


def test_the_healthy_run_says_so(tab: Tab) -> None:
    frame = tab.open(run="healthy")
    expect(frame.get_by_role("heading", level=1)).to_have_text("Healthy")
    expect(frame.get_by_text("Nothing to report")).to_be_visible()


def test_a_note_on_a_healthy_run_says_what_the_verdict_does_not(own_tab: Tab) -> None:
    def only_a_note(route: Route) -> None:
        overview = route.fetch().json()
        overview["verdict"] |= {"status": "healthy", "text": "No numerical problem."}
        overview["findings"][0] |= {"severity": "info", "summary": "Gradients turn at 2^-3.", "why": []}
        route.fulfill(json=overview)

    own_tab.page.route("**/overview*", only_a_note)
    card = own_tab.open(run="nan_softmax_log").get_by_role("article", name="Logarithm of zero")
    expect(card.get_by_text("Gradients turn at 2⁻³.")).to_be_visible()


def test_the_evidence_is_of_the_step_that_is_told(tab: Tab) -> None:
    frame = tab.open(run="absorbed_updates")
    expect(frame.locator(".banner")).to_contain_text("since step 2, train.py:43. At step 79:")
    expect(frame.locator(".evidence h3")).to_contain_text("at step 79")
    frame.get_by_role("link", name="Show the evidence").first.click()
    expect(frame.get_by_text("Step 79", exact=True)).to_be_visible()


def test_what_else_was_found_is_told_without_a_click(own_tab: Tab) -> None:
    def twice(route: Route) -> None:
        overview = route.fetch().json()
        also = overview["findings"][0] | {"rule": "other", "summary": "It grows.", "forecast": "ends in 4 steps"}
        route.fulfill(json=overview | {"findings": [overview["findings"][0], also]})

    own_tab.page.route("**/overview*", twice)
    also = own_tab.open(run="nan_softmax_log").get_by_role("region", name="Also found")
    expect(also.get_by_text("It grows. Forecast: ends in 4 steps.")).to_be_visible()
    expect(also.get_by_role("heading", name="Fix")).to_be_hidden()
    also.get_by_text("It grows.").click()
    expect(also.get_by_role("heading", name="Fix")).to_be_visible()


def test_an_operand_that_is_not_measured_takes_no_picture(own_tab: Tab) -> None:
    def with_axes(route: Route) -> None:
        page = route.fetch().json()
        route.fulfill(json=page | {"inputs": [*page["inputs"], {"op": None, "measure": None, "outside": False}]})

    own_tab.page.route("**/op?*", with_axes)
    rows = own_tab.open(**LOG).get_by_test_id("ruler").locator(".ruler-rows > li")
    expect(rows.filter(has_text="Operand 2")).to_contain_text("not measured")
    expect(rows.filter(has_text="Operand 2").locator("svg")).to_have_count(0)
    expect(rows.filter(has_text="Operand 1").locator("svg")).to_have_count(1)


def test_what_comes_into_a_loop_is_said_to_be_no_more_than_that(own_tab: Tab) -> None:
    def looped(route: Route) -> None:
        page = route.fetch().json()
        page["inputs"][0]["outside"] = True
        route.fulfill(json=page)

    own_tab.page.route("**/op?*", looped)
    ruler = own_tab.open(**MUL).get_by_test_id("ruler")
    expect(ruler.locator(".row-label").nth(0)).to_contain_text("as it comes into the loop")
    expect(ruler.locator(".row-label").nth(1)).not_to_contain_text("loop")
    # How far apart the operands were while the loop ran is not known.
    expect(ruler.locator(".gap")).to_have_count(0)


def test_every_run_is_listed_with_its_verdict(tab: Tab) -> None:
    frame = tab.open(run="healthy")
    runs = frame.get_by_role("region", name="All runs").get_by_role("listitem")
    expect(runs).to_have_count(4)
    expect(runs.filter(has_text="nan_softmax_log").get_by_role("img")).to_have_accessible_name("broken")
    expect(runs.filter(has_text="healthy").get_by_role("img")).to_have_accessible_name("healthy")
    expect(runs.locator("[aria-current]")).to_have_text("healthy")


def test_the_head_of_an_op_names_its_line(tab: Tab) -> None:
    frame = tab.open(**LOG)
    expect(frame.locator(".op-head")).to_contain_text(re.compile(r"train\.py:38 in train_step.*tf\.math\.log\(p\)"))


def test_the_ruler_shows_operands_result_and_their_gap(tab: Tab) -> None:
    frame = tab.open(**MUL)
    ruler = frame.get_by_test_id("ruler")
    rows = ruler.locator(".ruler-rows > li")
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text("Relu")
    expect(rows.nth(2)).to_contain_text("+∞")
    expect(ruler.locator(".gap")).to_have_accessible_name(re.compile(r"\d+ bits apart \(float16 keeps 11\)"))
    # The result ends at the limit of its format: its bar touches the line of overflow.
    ends = tab.document.evaluate(
        """() => ['.track-result .range', '.track-result .limit-overflow']
             .map((part) => document.querySelector(part).getBoundingClientRect().right)"""
    )
    assert abs(ends[0] - ends[1]) <= 2


def test_zooming_spreads_the_data(tab: Tab) -> None:
    frame = tab.open(**MUL)
    result = frame.locator(".track-result .range")
    before = result.bounding_box()
    frame.get_by_role("button", name="Zoom to data").click()
    after = result.bounding_box()
    assert before and after and after["width"] > 1.2 * before["width"]
    assert "p.numstab.scale=data" in tab.page.url


@pytest.mark.parametrize("width", [360, 1280])
def test_the_switch_of_the_scale_keeps_clear_of_the_first_row(tab: Tab, width: int) -> None:
    tab.page.set_viewport_size({"width": width, "height": 900})
    frame = tab.open(**MUL)
    switch = frame.locator(".toggles").bounding_box()
    label = frame.locator(".row-label").first.bounding_box()
    assert switch and label and label["y"] >= switch["y"] + switch["height"] + 4


def test_the_numbers_have_a_text_twin(tab: Tab) -> None:
    frame = tab.open(**LOG)
    frame.get_by_text("All numbers of step 57").click()
    zeros = frame.get_by_role("row", name=re.compile("^Zero"))
    expect(zeros.get_by_role("cell").first).to_have_text("1")


def test_a_gradient_leads_to_the_op_it_is_of(tab: Tab) -> None:
    frame = tab.open(run="nan_softmax_log", op="RealDiv_27:0")
    frame.locator(".op-head").get_by_role("link", name="Log Log_21").click()
    expect(frame.get_by_role("heading", level=1)).to_have_text("Log Log_21")


def test_walking_through_the_steps(tab: Tab) -> None:
    frame = tab.open(**MUL)
    frame.get_by_role("button", name="Previous step").click()
    expect(frame.get_by_text("Step 32", exact=True)).to_be_visible()
    assert "p.numstab.step=32" in tab.page.url
    frame.get_by_role("button", name="Next step").click()
    frame.get_by_role("button", name="Next step").click()
    expect(frame.get_by_text("Step 34", exact=True)).to_be_visible()


def test_a_click_on_the_trend_shows_that_step(tab: Tab) -> None:
    frame = tab.open(**MUL)
    frame.locator(".trend .u-over").click(position={"x": 3, "y": 50})
    expect(frame.get_by_text("Step 0", exact=True)).to_be_visible()


def test_events_lead_to_their_first_step(tab: Tab) -> None:
    frame = tab.open(run="fp16_overflow", op="Mul_18:0", step=79)
    frame.get_by_role("link", name="Show step 33").first.click()
    expect(frame.get_by_text("Step 33", exact=True)).to_be_visible()


def test_the_map_says_in_words_what_matters(tab: Tab) -> None:
    frame = tab.open(run="nan_softmax_log", view="map")
    expect(frame.locator(".map-zoom")).to_contain_text(
        re.compile(r"NaN or ∞ first at step 57, in Log Log_21\. Least headroom: \d+ bits")
    )
    frame = tab.go(run="healthy", view="map")
    expect(frame.locator(".map-zoom")).to_contain_text("Nothing comes near overflow.")
    frame.locator(".map-zoom").get_by_role("link").click()
    expect(frame.get_by_role("heading", name="Operands and result")).to_be_visible()


def test_the_health_map_names_groups_and_reads_out_cells(tab: Tab) -> None:
    frame = tab.open(run="nan_softmax_log", view="map")
    expect(frame.locator(".map-group")).to_contain_text(["inputs", "sequential/dense_0"])
    cells = frame.get_by_role("application", name="Health map cells")
    cells.hover(position={"x": 5, "y": 30})
    expect(frame.locator(".map-readout")).to_contain_text(re.compile(r"^Placeholder x_0 at train\.py:\d+, step 0:"))
    expect(frame.locator(".map-label").filter(has_text="Log_21").get_by_role("img")).to_have_accessible_name("Error")
    frame.get_by_text("The map as a table").click()
    expect(frame.get_by_role("row", name=re.compile("^Log Log_21")).get_by_role("cell").last).to_contain_text("∞")


def test_disparate_scales_are_listed_and_narrowed(tab: Tab) -> None:
    frame = tab.open(run="fp16_overflow", view="interactions")
    mul = frame.get_by_role("row").filter(has_text="Mul_18")
    expect(mul).to_contain_text("11 bits")
    expect(mul).to_contain_text("overflows")
    expect(mul.get_by_role("img").first).to_have_accessible_name(re.compile("^2⁻⁸ to 2²"))
    frame.get_by_role("combobox", name="Effect").select_option("absorbed")
    expect(mul).to_have_count(0)
    assert "p.numstab.effect=absorbed" in tab.page.url
    tab.page.go_back()
    expect(mul).to_be_visible()
    for where, there in (("product", 1), ("sum", 0)):
        frame.get_by_role("combobox", name="Where").select_option(where)
        expect(mul).to_have_count(there)


def test_a_variable_and_its_update_are_among_the_scales(tab: Tab) -> None:
    frame = tab.open(run="absorbed_updates", view="interactions", kind="update")
    update = frame.get_by_role("row").filter(has_text="no element moves").first
    expect(update).to_contain_text(re.compile(r"\d+ bits apart.*absorbed.*proven"))
    expect(update.get_by_role("img")).to_have_count(2)


def test_the_result_in_other_formats(tab: Tab) -> None:
    frame = tab.open(**MUL)
    formats = frame.get_by_role("region", name="The result in other formats").get_by_role("listitem")
    expect(formats.filter(has_text="bfloat16")).to_contain_text("fits")
    expect(formats.filter(has_text="float8_e4m3fn")).to_contain_text("become NaN")


@pytest.mark.parametrize(("kind", "holds"), [("CSV", "log-of-zero,"), ("JSON", '"rule": "log-of-zero"')])
def test_findings_are_saved(tab: Tab, kind: str, holds: str) -> None:
    frame = tab.open(run="nan_softmax_log")
    with tab.page.expect_download() as saved:
        frame.get_by_role("button", name=f"Findings as {kind}").click()
    assert saved.value.suggested_filename == f"nan_softmax_log-findings.{kind.lower()}"
    assert holds in saved.value.path().read_text()


def test_layers_show_their_four_kinds(tab: Tab) -> None:
    frame = tab.open(run="fp16_overflow", view="layers", step=20)
    expect(frame.locator(".layer")).to_have_count(3)
    for kind in ("activations", "gradients", "weights", "updates"):
        expect(frame.locator(".layer").first.get_by_role("row", name=kind)).to_be_visible()
    expect(frame.locator(".layer").first).to_contain_text(re.compile(r"largest update is \d+ bits below .* keeps 24"))


def test_layers_walk_through_the_steps_together(tab: Tab) -> None:
    frame = tab.open(run="fp16_overflow", view="layers")
    columns = frame.get_by_role("columnheader", name=re.compile("^Step"))
    expect(columns).to_have_text(["Step 79"] * 3)
    frame.get_by_role("button", name="Previous step").click()
    expect(columns).to_have_text(["Step 78"] * 3)
    assert "p.numstab.step=78" in tab.page.url
    frame.locator(".layer-chart svg").first.click(position={"x": 45, "y": 40})
    expect(columns.first).to_have_text(re.compile(r"^Step \d$"))


def test_which_precision_would_do(tab: Tab) -> None:
    frame = tab.open(run="fp16_overflow", view="layers")
    card = frame.get_by_role("region", name="Which precision would do")
    expect(card.locator(".recommendation")).not_to_be_empty()
    expect(card.locator("summary b")).to_have_text(["float32", "bfloat16", "float16", "float8_e5m2", "float8_e4m3fn"])
    card.locator("summary").filter(has_text="float8_e5m2").click()
    expect(card.get_by_role("row", name=re.compile("^activations"))).to_be_visible()


def test_two_runs_compared(tab: Tab) -> None:
    frame = tab.open(run="nan_softmax_log", view="compare")
    frame.get_by_role("main").get_by_role("link", name="healthy").click()
    expect(frame.get_by_role("heading", level=1)).to_have_text("Compare nan_softmax_log with healthy")
    expect(frame.get_by_text("They part first at step")).to_be_visible()
    expect(frame.get_by_role("row").filter(has_text="NaN or ∞ in nan_softmax_log only").first).to_contain_text("57")
    assert "p.numstab.against=healthy" in tab.page.url


def test_a_run_to_compare_with_is_chosen_by_its_verdict(tab: Tab) -> None:
    frame = tab.open(run="nan_softmax_log", view="compare")
    choice = frame.get_by_role("main").get_by_role("listitem").filter(has_text="healthy")
    expect(choice.get_by_role("img")).to_have_accessible_name("healthy")
    choice.get_by_role("link").click()
    expect(frame.get_by_text("They part first at step")).to_be_visible()
    frame.get_by_role("link", name="Choose another run").click()
    expect(choice).to_be_visible()


def test_an_op_is_found_by_its_source_line(tab: Tab) -> None:
    frame = tab.open(run="nan_softmax_log")
    frame.get_by_role("searchbox").fill("train.py:38 log")
    results = frame.locator(".search-results")
    expect(results).to_be_visible()
    tab.page.keyboard.press("Escape")
    expect(results).to_have_count(0)
    frame.get_by_role("searchbox").fill("train.py:38 Log")
    frame.get_by_role("heading", level=1).click()
    expect(results).to_have_count(0)
    frame.get_by_role("searchbox").click()
    results.get_by_role("link", name=re.compile("^Log")).first.click()
    expect(frame.get_by_role("heading", level=1)).to_contain_text("Log")
    expect(frame.locator(".search-results")).to_have_count(0)

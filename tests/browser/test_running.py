"""Trainings that go on: reloading, forecasts, restarts; and large ones."""

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.tab import Tab, tab_of_its_own
from tests.support.runs import make_run
from tests.support.synthetic import Recorder, scaled_run
from tests.support.tensorboard_process import tensorboard
from tests.views.subjects import growing

MATMUL = 8
"""A slot of the healthy training."""

RED_BESIDE_THE_LAST_RECORD = """() => {
  const canvas = document.querySelector('.trend canvas');
  const [x, y, width, height] = [0.6, 0.1, 0.35, 0.7].map((share, i) => share * (i % 2 ? canvas.height : canvas.width));
  const pixels = canvas.getContext('2d').getImageData(x, y, width, height).data;
  return pixels.some((red, i) => i % 4 === 0 && pixels[i + 3] > 0 && red > pixels[i + 2] + 60);
}"""


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
    growing(MATMUL, bits_per_step=2.0).write(folder / "logs" / "growing")
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
    with tab_of_its_own(browser, training.address) as tab:
        yield tab


@pytest.fixture
def begun_tab(training_tab: Tab, training: Training) -> Tab:
    """With a run "begun" beside, whose op table is there and no record."""
    with Recorder(training.live.path.parents[1] / "begun") as begun:
        begun.ops(make_run("healthy", steps=1).sites)
    runs = f"{training.address}data/plugin/numstab/runs"
    for _ in range(20):
        if '"begun"' in training_tab.page.request.get(runs).text():
            return training_tab
        training_tab.page.wait_for_timeout(500)
    raise TimeoutError("TensorBoard does not find the new run")


def test_what_is_coming_is_told_in_the_banner_and_drawn_on(training_tab: Tab) -> None:
    frame = training_tab.open(run="growing")
    heading = frame.get_by_role("heading", level=1)
    expect(heading).to_have_text(re.compile(r"^At risk: overflows in about 2\d steps"))
    frame.get_by_role("link", name="Show the evidence").click()
    trend = frame.get_by_role("region", name="Headroom over the steps")
    expect(trend.locator(".forecast")).to_contain_text(re.compile(r"it overflows in about 2\d steps"))
    # The axis goes on beyond the last record, step 19, to where the trend ends.
    assert training_tab.document.evaluate(RED_BESIDE_THE_LAST_RECORD)


@pytest.mark.parametrize("view", ["overview", "map", "interactions", "layers"])
def test_a_training_that_has_only_begun_says_so_on_every_page(begun_tab: Tab, view: str) -> None:
    frame = begun_tab.open(run="begun", view=view)
    expect(frame.locator("main")).to_contain_text("No step has been recorded yet")
    begun_tab.expect_missing()


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
    frame.get_by_role("combobox", name="Showing").select_option(index=0)
    expect(heading).to_have_text("Broken at step 57")
    assert "p.numstab.session=20250101T000000-first" in training_tab.page.url


def test_a_restart_that_has_only_begun_leads_to_what_came_before(training_tab: Tab, training: Training) -> None:
    def without_records(route: Route) -> None:
        overview = route.fetch().json()
        route.fulfill(json=overview | {"verdict": None, "findings": []})

    training_tab.page.route("**/overview?*run=restarted", without_records)
    frame = training_tab.open(run="restarted")
    expect(frame.locator("main")).to_contain_text("No step has been recorded yet")
    training_tab.page.unroute("**/overview?*run=restarted")
    frame.get_by_role("combobox", name="Showing").select_option(index=0)
    expect(frame.get_by_role("heading", level=1)).to_have_text("Broken at step 57")


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

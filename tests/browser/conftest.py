"""A real browser on a real TensorBoard over the synthetic trainings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.tab import Tab, tab_of_its_own
from tests.support.tensorboard_process import tensorboard


@pytest.fixture(scope="session")
def address(logdir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a TensorBoard that all tests of the session share."""
    with tensorboard(logdir, log=tmp_path_factory.mktemp("tensorboard") / "log.txt") as running:
        yield running


@pytest.fixture(scope="session")
def shared_tab(browser: Browser, address: str) -> Iterator[Tab]:
    """One page for all tests: opening a link cold in it is twice as quick as in a page of its own."""
    page = browser.new_page()
    page.set_default_timeout(15_000)
    yield Tab(page, address)
    page.close()


@pytest.fixture
def tab(shared_tab: Tab) -> Iterator[Tab]:
    shared_tab.errors.clear()
    shared_tab.requests.clear()
    shared_tab.page.set_viewport_size({"width": 1280, "height": 900})
    yield shared_tab
    shared_tab.assert_clean()


@pytest.fixture
def own_tab(browser: Browser, address: str) -> Iterator[Tab]:
    """A tab in a page of its own, for tests that change what the browser can do."""
    with tab_of_its_own(browser, address) as tab:
        yield tab

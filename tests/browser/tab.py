"""The plugin's tab in a real browser, as tests see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Frame, FrameLocator, Page, Request


def link(**state: object) -> str:
    """The hash of a state of the tab."""
    pairs = [f"p.numstab.{key}={quote(str(value), safe='')}" for key, value in state.items()]
    return "#" + "&".join(["numstab", *pairs])


@dataclass
class Tab:
    """The plugin's tab, opened in a TensorBoard.

    Attributes:
      page: TensorBoard's page.
      address: TensorBoard's address.
      errors: exceptions of any frame, and what the console says about our own.
      requests: every request of any frame.
    """

    page: Page
    address: str
    errors: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._hear)
        self.page.on("requestfinished", lambda request: self.requests.append(request))

    def _hear(self, message: ConsoleMessage) -> None:
        # TensorBoard itself asks for things that are not there, such as its own experiment plugin.
        if message.type == "error" and "numstab" in message.location["url"]:
            self.errors.append(message.text)

    def open(self, **state: object) -> FrameLocator:
        """Opens a link cold and waits until the tab shows a page."""
        self.page.goto("about:blank")
        self.page.goto(self.address + link(**state))
        self.frame.locator("main h1, .empty").first.wait_for()
        return self.frame

    def go(self, **state: object) -> FrameLocator:
        """Goes to a link within the open tab, which is quick, and waits for what it asks the server."""
        self.page.evaluate("(hash) => { location.hash = hash }", link(**state))
        self.page.wait_for_load_state("networkidle")
        self.frame.locator("main h1, .empty").first.wait_for()
        return self.frame

    @property
    def frame(self) -> FrameLocator:
        return self.page.frame_locator("iframe")

    @property
    def document(self) -> Frame:
        """The tab's own document, to evaluate scripts in."""
        return next(frame for frame in self.page.frames if "plugin_entry" in frame.url)

    def own_requests(self) -> list[Request]:
        return [r for r in self.requests if "/data/plugin/numstab/" in r.url or "plugin_entry" in r.url]

    def expect_missing(self) -> None:
        """Answers with status 404 are no error in this test; the browser writes each to its console."""
        self.errors[:] = [error for error in self.errors if "404" not in error]

    def assert_clean(self) -> None:
        """Nothing went wrong, and no other host was asked for anything."""
        assert self.errors == []
        assert {urlsplit(r.url).netloc for r in self.own_requests()} <= {urlsplit(self.address).netloc}


@contextmanager
def tab_of_its_own(browser: Browser, address: str) -> Iterator[Tab]:
    """A tab in a page that nothing else uses; nothing may have gone wrong in it by the end."""
    page = browser.new_page()
    tab = Tab(page, address)
    yield tab
    tab.assert_clean()
    page.close()

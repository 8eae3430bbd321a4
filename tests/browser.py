"""A real browser for tests of pages: Chromium, driven by Playwright.

Each test has a browser of its own (a start costs about a second): nothing is left behind for the next one, and the
event loop that Playwright runs in the thread does not forbid later tests Django's ORM.
"""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, expect, sync_playwright

from tests.live_service import ROOT, LiveService

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# Much longer than any page needs: a busy machine can take ten seconds to show one.
PATIENCE_MILLISECONDS = 60_000
SCREENSHOTS = ROOT / "build" / "screenshots"


@dataclass
class Noticed:
    """What happened on a page since it was opened."""

    errors: list[str] = field(default_factory=list)
    """What the console shows in red: errors and exceptions of scripts, refused and failed loads."""
    exceptions: list[str] = field(default_factory=list)
    """Those that no script has caught; they are among the errors too."""
    requests: list[str] = field(default_factory=list)
    """The address of every request that went over the network; those that the page's own policy stops do not."""

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def on_exception(self, error: Error) -> None:
        self.errors.append(str(error))
        self.exceptions.append(str(error))

    def on_request(self, request: Request) -> None:
        if urlsplit(request.url).scheme not in {"data", "blob"}:
            self.requests.append(request.url)

    def on_failed_request(self, request: Request) -> None:
        if request.failure == "csp":
            self.requests.remove(request.url)

    @property
    def hosts(self) -> set[str]:
        """The hosts and ports that were asked."""
        return {urlsplit(url).netloc for url in self.requests}


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the browser."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        reason = f"None of {', '.join(PROGRAMS)} is installed: pages were not tried in a browser."
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture
def browser(chromium: str) -> Iterator[Browser]:
    """A headless browser without a page."""
    # Without a sandbox, which neither root nor most containers may make: the tests open no page but their own.
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, chromium_sandbox=False)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Page:
    """A blank page in a window of 1280 × 800."""
    opened = browser.new_page(viewport={"width": 1280, "height": 800}, locale="en-GB", timezone_id="UTC")
    opened.set_default_timeout(PATIENCE_MILLISECONDS)
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    return opened


@pytest.fixture
def noticed(page: Page) -> Noticed:
    """What happens on the page."""
    made = Noticed()
    page.on("console", made.on_console)
    page.on("pageerror", made.on_exception)
    page.on("request", made.on_request)
    page.on("requestfailed", made.on_failed_request)
    return made


def sign_in(page: Page, service: LiveService) -> None:
    """Sign in as the owner that the first start of the service made; the landing page is then open."""
    page.goto(f"{service.base_url}/login/")
    page.get_by_label("E-mail address").fill(service.credentials["email"])
    page.get_by_label("Password").fill(service.credentials["password"])
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{service.base_url}/")


def screenshot(page: Page, name: str) -> Path:
    """Keep the whole page as a picture for whoever looks at the tests' results."""
    assert re.fullmatch(r"[a-z0-9-]+", name)
    path = SCREENSHOTS / f"{name}.png"
    page.screenshot(path=path, full_page=True)
    return path

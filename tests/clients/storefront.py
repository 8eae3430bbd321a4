"""A web shop on an origin of its own: a page that knows where the browser library is, and nothing else."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.clients.conftest import Shop

PAGE = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Shop</title>
<link rel="icon" href="data:,">
<script type="importmap">{"imports": {"posthog-js": "/posthog-js/dist/module.js"}}</script>
<button>Buy</button>
</html>
"""
# The library takes a driven browser for a bot, whose events it drops; this is its own way to say otherwise.
OPTIONS = {"opt_out_useragent_filter": True}


class _Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *words: Any) -> None:
        """Keep quiet."""


@contextmanager
def serving(node_modules: Path) -> Iterator[str]:
    """The shop's origin. It has another host than the service, which tests reach as 127.0.0.1."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(node_modules))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Visitor:
    """Somebody with the shop's page open, on which the library runs."""

    page: Page
    origin: str
    shop: Shop

    def arrive(self, **options: Any) -> Any:
        """Open the page and start the library; returns what the first call of onFeatureFlags was told."""
        self.page.goto(f"{self.origin}/")
        self.page.evaluate(
            """async ([token, options]) => {
                const { default: posthog } = await import('posthog-js')
                window.posthog = posthog
                window.heard = []
                posthog.init(token, options)
                posthog.onFeatureFlags((keys, values, { errorsLoading }) => {
                    heard.push({ keys, values, errorsLoading })
                })
            }""",
            [self.shop.token, {"api_host": self.shop.base_url} | OPTIONS | options],
        )
        return self.hears(1)

    def hears(self, count: int) -> Any:
        """What onFeatureFlags is told in its call number `count`, counted from 1."""
        self.page.wait_for_function("count => heard.length >= count", arg=count)
        return self.page.evaluate("count => heard[count - 1]", count)

    def causes(self, script: str) -> Any:
        """What onFeatureFlags is told because of a script."""
        count = self.page.evaluate("heard.length")
        self.page.evaluate(script)
        return self.hears(count + 1)

    def sees(self, script: str) -> Any:
        """The value of an expression; undefined is None."""
        return self.page.evaluate(script)

    def leave(self) -> None:
        """Go elsewhere; the library sends what it has not sent yet."""
        self.page.goto("about:blank")

"""The demo's results page in a browser: in light and dark, on a phone, without colour, on paper."""

import re
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests import live_service
from tests.browser import Noticed, screenshot, sign_in
from tests.live_service import LiveService

Json = dict[str, Any]
PHONE = {"width": 390, "height": 844}
# What a person with little contrast vision needs between text and ground.
ENOUGH_CONTRAST = 4.5
CONTRASTS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true})
  const luminance = colour => {
    canvas.fillStyle = colour
    canvas.fillRect(0, 0, 1, 1)
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(part => {
      const share = part / 255
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const ground = element => {
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor
      if (!/, 0\\)$|^transparent$/.test(colour)) return colour
    }
    return 'white'
  }
  const texts = [...document.querySelectorAll('main *')].filter(element =>
    element.checkVisibility() && [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
  return texts.map(element => {
    const drawn = element instanceof SVGElement
    const style = getComputedStyle(element)
    const [one, other] = [luminance(drawn ? style.fill : style.color), luminance(ground(element))]
    const halo = drawn && style.stroke !== 'none'
    return [halo ? 21 : (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05), element.textContent.trim()]
  })
}"""


@pytest.fixture(scope="session")
def demo(service: LiveService) -> str:
    """The address of the demo's page; the service is asked for nothing else."""
    told = live_service.manage("demo", "--visitors", "6000", data_dir=service.data_dir)
    assert told.returncode == 0, told.stderr
    found = re.search(r"https?://\S+/$", told.stdout)
    assert found is not None
    return found[0]


@pytest.fixture
def results(service: LiveService, demo: str) -> Json:
    """What the API answers of the same experiment."""
    path = urlsplit(demo).path
    answer: Json = httpx.get(f"{service.base_url}/api{path}results/", headers=service.headers, timeout=60).json()
    return answer


def drawn_texts(page: Page) -> set[str]:
    """All texts of the plots that are visible, with ordinary spaces and hyphens."""
    texts = page.eval_on_selector_all(".plot svg text", "all => all.map(one => one.textContent)")
    return {" ".join(text.replace("\u2212", "-").split()) for text in texts}


EFFECT = re.compile(r"([+-]?[\d,.]+) % \[([+-]?[\d,.]+) % to ([+-]?[\d,.]+) %\]")


def drawn_effects(texts: set[str]) -> list[tuple[float, ...]]:
    """The effects among the texts of plots, each with both ends of its interval, as shares."""
    found = (EFFECT.fullmatch(text) for text in texts)
    return [tuple(float(part.replace(",", "")) / 100 for part in match.groups()) for match in found if match]


@pytest.fixture
def opened(page: Page, noticed: Noticed, service: LiveService, demo: str) -> Page:
    """The page as it is after signing in, from the link that the landing page has."""
    page.goto(demo)
    assert urlsplit(page.url).path == "/login/"
    sign_in(page, service)
    page.get_by_role("link", name="Results").click()
    page.get_by_role("link", name="One-page checkout").click()
    expect(page.get_by_role("heading", name="One-page checkout")).to_be_visible()
    noticed.requests.clear()
    page.goto(demo)
    return page


def test_page__plots__have_the_figures_of_the_api(opened: Page, results: Json) -> None:
    texts = drawn_texts(opened)
    drawn = drawn_effects(texts)
    for metric in results["metrics"]:
        for treatment in metric["result"]["variant_results"]:
            figures = pytest.approx((treatment["effect"], *treatment["credible_interval"]), rel=0, abs=0.0005001)
            assert any(effect == figures for effect in drawn)
    for variant, number in results["exposures"]["total_exposures"].items():
        assert f"{variant} {number:,}" in texts


def test_page__light__loads_nothing_from_elsewhere_and_has_no_errors(
    opened: Page, noticed: Noticed, service: LiveService
) -> None:
    screenshot(opened, "results-light")
    assert noticed.errors == []
    assert noticed.hosts == {urlsplit(service.base_url).netloc}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page__texts__stand_out_from_their_ground(opened: Page, scheme: Any) -> None:
    opened.emulate_media(color_scheme=scheme)
    screenshot(opened, f"results-{scheme}")
    found = opened.evaluate(CONTRASTS)
    assert len(found) > 100
    assert [(text, contrast) for contrast, text in found if contrast < ENOUGH_CONTRAST] == []


def test_page__phone__needs_no_scrolling_sideways(opened: Page, noticed: Noticed) -> None:
    opened.set_viewport_size(PHONE)  # type: ignore[arg-type]  # a TypedDict in the stubs
    screenshot(opened, "results-phone")
    assert opened.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    smallest = opened.eval_on_selector_all(
        ".plot .narrow text", "all => Math.min(...all.map(one => one.getBoundingClientRect().height))"
    )
    assert smallest > 10
    assert noticed.errors == []


def test_page__without_colour__tells_tones_by_shapes_and_words(opened: Page) -> None:
    opened.evaluate("document.documentElement.style.filter = 'grayscale(1)'")
    screenshot(opened, "results-greyscale")
    words = opened.locator(".effects td:last-child .mark").all_inner_texts()
    assert {"Significant, favourable", "Not significant"} <= set(words)
    shapes = opened.eval_on_selector_all(
        ".plot .wide .role-mark path[fill^='var(--']", "all => all.map(one => one.getAttribute('d'))"
    )
    assert len(set(shapes)) >= 2


def test_page__print__has_ink_on_white(opened: Page) -> None:
    opened.emulate_media(media="print", color_scheme="dark")
    screenshot(opened, "results-print")
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert opened.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    expect(opened.get_by_role("button", name="Refresh")).to_be_hidden()


def test_page__refresh__shows_newer_results(opened: Page, service: LiveService) -> None:
    expect(opened.get_by_text("From the cache")).to_be_visible()
    before = opened.locator("time").get_attribute("datetime")
    opened.get_by_role("button", name="Refresh").click()
    opened.wait_for_load_state()
    assert opened.locator("time").get_attribute("datetime") != before


def test_page__steps_of_the_funnel__open_without_a_script(browser: Browser, service: LiveService, demo: str) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    sign_in(page, service)
    page.goto(demo)
    page.locator("summary").click()
    expect(page.get_by_role("columnheader", name="3. purchase")).to_be_visible()

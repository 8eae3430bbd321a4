"""What the README shows of asking for a variant works as it is written there, with a host and a token put in."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page

from tests.browser import Noticed
from tests.clients import storefront
from tests.clients.conftest import Shop
from tests.live_service import ROOT

WHO, FLAG = "ada@example.com", "one-step-checkout"
SECTION = (ROOT / "README.md").read_text().partition("\n## 3. ")[2].partition("\n## 4. ")[0]
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.+?)^```$", SECTION, re.MULTILINE | re.DOTALL)


@pytest.fixture
def checkout(own_shop: Shop) -> Shop:
    """A shop whose experiment runs on the flag that the README asks for."""
    experiment = own_shop.call("POST", "experiments/", {"name": "One step", "feature_flag_key": FLAG})
    own_shop.experiment_id = experiment["id"]
    own_shop.call("POST", f"experiments/{experiment['id']}/launch/", {})
    return own_shop


def block(shop: Shop, language: str, mention: str) -> str:
    """The one block in a language that mentions something."""
    (found,) = [text for written_in, text in BLOCKS if written_in == language and mention in text]
    return found.replace("phc_...", shop.token).replace("http://127.0.0.1:8000", shop.base_url)


def variant_of(shop: Shop) -> str:
    """What the service answers whoever asks without a library."""
    asked = {"token": shop.token, "distinct_id": WHO}
    answer = httpx.post(f"{shop.base_url}/flags/?v=2", json=asked).json()
    variant: str = answer["flags"][FLAG]["variant"]
    assert variant in {"control", "test"}
    return variant


def output_of(*command: str, directory: Path) -> str:
    finished = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=120)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


def purchases_of(shop: Shop, who: str) -> list[Any]:
    events = shop.call("GET", "events/", event="purchase", distinct_id=who)["results"]
    return [event["properties"]["amount"] for event in events]


def test_every_block_is_tried() -> None:
    languages = [language for language, _ in BLOCKS]
    assert sorted(languages) == ["console", "javascript", "javascript", "python", "python"]


def test_python(checkout: Shop, tmp_path: Path) -> None:
    program = block(checkout, "python", "from posthog import") + "print(variant)\n"
    assert output_of(sys.executable, "-c", program, directory=tmp_path) == variant_of(checkout)
    assert purchases_of(checkout, WHO) == [42.5]
    assert checkout.exposures() == {variant_of(checkout): 1}


def test_node(checkout: Shop, node_directory: Path) -> None:
    program = block(checkout, "javascript", "posthog-node") + "console.log(variant)\n"
    shown = output_of("node", "--input-type=module", "--eval", program, directory=node_directory)
    assert shown == variant_of(checkout)
    assert purchases_of(checkout, WHO) == [42.5]
    assert checkout.exposures() == {variant_of(checkout): 1}


def test_browser(checkout: Shop, page: Page, noticed: Noticed, node_directory: Path) -> None:
    with storefront.serving(node_directory / "node_modules") as origin:
        page.goto(f"{origin}/")
        page.add_script_tag(content=block(checkout, "javascript", "posthog-js"), type="module")
        page.wait_for_function("document.body.dataset.checkout")
    assert page.evaluate("document.body.dataset.checkout") in {"control", "test"}
    assert noticed.errors == []


def test_open_feature(checkout: Shop, tmp_path: Path) -> None:
    program = block(checkout, "python", "openfeature") + "print(details.value)\n"
    assert output_of(sys.executable, "-c", program, directory=tmp_path) == variant_of(checkout)


def test_without_a_library(checkout: Shop, tmp_path: Path) -> None:
    command = block(checkout, "console", "/flags/").removeprefix("$ ")
    assert f'"variant":"{variant_of(checkout)}"' in output_of("bash", "-c", command, directory=tmp_path)

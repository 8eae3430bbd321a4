"""What the browser library asks first: its configuration in two forms, and the script of what is not there."""

from collections.abc import Callable

import orjson
import pytest

from feature_flags.models import FeatureFlag
from tests.feature_flags.sdk.conftest import Sdk

Make = Callable[..., FeatureFlag]

OFF = ("surveys", "heatmaps", "capturePerformance", "captureDeadClicks", "autocaptureExceptions", "sessionRecording")


def expected(sdk: Sdk, *, has_flags: bool) -> dict[str, object]:
    return {
        "token": sdk.token,
        "supportedCompression": ["gzip", "gzip-js"],
        "hasFeatureFlags": has_flags,
        "analytics": {"endpoint": "/i/v0/e/"},
        "defaultIdentifiedOnly": True,
        "elementsChainAsString": True,
        "siteApps": [],
        **dict.fromkeys(OFF, False),
    }


@pytest.mark.parametrize("path", ["/array/{}/config", "/array/{}/config/"])
def test_config__is_json_that_may_be_kept_a_minute(sdk: Sdk, path: str) -> None:
    answer = sdk.client.get(path.format(sdk.token), headers={"Origin": "https://shop.example.com"})
    assert answer.json() == expected(sdk, has_flags=False)
    assert answer["Cache-Control"] == "public, max-age=60"
    assert answer["Access-Control-Allow-Origin"] == "https://shop.example.com"


@pytest.mark.parametrize(("active", "has_flags"), [(True, True), (False, False)])
def test_config__tells_whether_a_flag_is_active(sdk: Sdk, stored_flag: Make, active: bool, has_flags: bool) -> None:
    stored_flag(active=active)
    assert sdk.client.get(f"/array/{sdk.token}/config").json() == expected(sdk, has_flags=has_flags)


def test_script__hands_the_same_configuration_to_the_library(sdk: Sdk) -> None:
    answer = sdk.client.get(f"/array/{sdk.token}/config.js", headers={"Origin": "https://shop.example.com"})
    first, second = answer.content.decode().splitlines()
    assert first == "window._POSTHOG_REMOTE_CONFIG = window._POSTHOG_REMOTE_CONFIG || {};"
    before, _, after = second.partition("{config: ")
    assert before == f'window._POSTHOG_REMOTE_CONFIG["{sdk.token}"] = '
    assert orjson.loads(after.removesuffix(", siteApps: []};")) == expected(sdk, has_flags=False)
    assert answer["Content-Type"].startswith("application/javascript")
    assert answer["Access-Control-Allow-Origin"] == "https://shop.example.com"


@pytest.mark.parametrize("path", ["/array/phc_nobody/config", "/array/phc_nobody/config.js"])
def test_config__unknown_token__is_not_there(sdk: Sdk, path: str) -> None:
    assert sdk.client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/static/surveys.js?v=1.449.2", "/static/1.449.2/surveys.js"])
def test_surveys_script__does_nothing_on_any_page(sdk: Sdk, path: str) -> None:
    answer = sdk.client.get(path, headers={"Origin": "https://shop.example.com"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["Content-Type"].startswith("application/javascript")
    assert answer["Access-Control-Allow-Origin"] == "https://shop.example.com"

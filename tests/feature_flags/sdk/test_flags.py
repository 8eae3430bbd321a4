"""`/flags` and `/decide`: every shape, every refusal, what each caller sees."""

import base64
import gzip
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from django.test import Client

from experiments.models import Experiment
from feature_flags.models import FeatureFlag
from tests.feature_flags.sdk.conftest import EVERYBODY, LAYOUTS, PRO, Sdk

Make = Callable[..., FeatureFlag]

CONFIG_KEYS = {
    "token",
    "supportedCompression",
    "hasFeatureFlags",
    "analytics",
    "defaultIdentifiedOnly",
    "elementsChainAsString",
    "siteApps",
    "surveys",
    "heatmaps",
    "capturePerformance",
    "captureDeadClicks",
    "autocaptureExceptions",
    "sessionRecording",
}


def layout(make: Make) -> FeatureFlag:
    payloads = {"compact": '{"density": "compact"}'}
    return make("layout", multivariate={"variants": LAYOUTS}, payloads=payloads, version=7)


# --- shapes --------------------------------------------------------------------------------------------------------


def test_v2__is_a_record_for_each_flag(sdk: Sdk, stored_flag: Make) -> None:
    flag, off = layout(stored_flag), stored_flag("off", groups=[])
    stored_flag("inactive", active=False)
    stored_flag("gone", deleted=True)
    answer = sdk.ask()
    variant = answer["flags"]["layout"]["variant"]
    assert variant in {"control", "compact", "spacious"}
    assert answer.keys() == {"errorsWhileComputingFlags", "flags", "requestId", "evaluatedAt"}
    assert answer["errorsWhileComputingFlags"] is False
    assert answer["flags"] == {
        "layout": {
            "key": "layout",
            "enabled": True,
            "variant": variant,
            "reason": {"code": "condition_match", "condition_index": 0, "description": "Matched condition set 1"},
            "metadata": {
                "id": flag.pk,
                "version": 7,
                "description": None,
                "payload": '{"density": "compact"}' if variant == "compact" else None,
                "has_experiment": False,
            },
        },
        "off": {
            "key": "off",
            "enabled": False,
            "variant": None,
            "reason": {
                "code": "no_condition_match",
                "condition_index": None,
                "description": "No matching condition set",
            },
            "metadata": {
                "id": off.pk,
                "version": 1,
                "description": None,
                "payload": None,
                "has_experiment": False,
            },
        },
    }


def test_v4__adds_the_value_and_the_version_of_the_configuration(sdk: Sdk, stored_flag: Make) -> None:
    layout(stored_flag)
    stored_flag("off", groups=[])
    stored_flag("broken", filters={"groups": 5})
    older, newer = sdk.ask("/flags/?v=3")["flags"], sdk.ask("/flags/?v=4")["flags"]
    assert newer["layout"].pop("value") == older["layout"]["variant"]
    assert newer["off"].pop("value") is False
    assert newer["broken"].pop("value") is None
    assert {record["metadata"].pop("config_version") for record in newer.values()} == {1}
    assert newer == older


@pytest.mark.parametrize("path", ["/flags/?v=1", "/flags/?config=true", "/flags?config=false", "/decide/?v=3"])
def test_values_and_payloads(sdk: Sdk, stored_flag: Make, path: str) -> None:
    stored_flag("on", payloads={"true": '{"limit": 10}'})
    stored_flag("off", groups=[])
    answer = sdk.ask(path)
    assert answer["featureFlags"] == {"on": True, "off": False}
    assert answer["featureFlagPayloads"] == {"on": '{"limit": 10}'}
    assert answer["errorsWhileComputingFlags"] is False
    assert "flags" not in answer


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/decide/?v=2", {"on": True}),
        ("/decide/?v=1", ["on"]),
        ("/decide/", ["on"]),
        ("/decide", ["on"]),
    ],
)
def test_decide__of_old_versions__tells_the_enabled_ones(sdk: Sdk, stored_flag: Make, path: str, expected: Any) -> None:
    stored_flag("on")
    stored_flag("off", groups=[])
    answer = sdk.ask(path)
    assert answer["featureFlags"] == expected
    assert answer.keys() >= CONFIG_KEYS


@pytest.mark.parametrize(
    ("path", "has_config"),
    [
        ("/flags/", True),
        ("/flags/?v=2", False),
        ("/flags/?v=2&config=true", True),
        ("/flags/?v=1", False),
        ("/flags/?config=true", True),
        ("/decide/?v=4", True),
        ("/decide/?v=3", True),
    ],
)
def test_configuration__is_part_of_the_answer_when_asked_for(
    sdk: Sdk, stored_flag: Make, path: str, has_config: bool
) -> None:
    stored_flag("on")
    answer = sdk.ask(path)
    assert (answer.keys() & CONFIG_KEYS) == (CONFIG_KEYS if has_config else set())
    if path in ("/flags/", "/decide/?v=4"):
        assert answer["flags"]["on"]["enabled"] is True


def test_request_id__that_is_a_uuid__is_echoed(sdk: Sdk) -> None:
    number = "0190b3e4-7c1e-7a51-9b1d-2f6d1c9a8e77"
    assert sdk.ask(headers={"X-REQUEST-ID": number})["requestId"] == number
    assert sdk.ask(headers={"X-REQUEST-ID": "7"})["requestId"] != "7"


def test_evaluated_at__is_in_epoch_milliseconds(sdk: Sdk) -> None:
    assert 1_700_000_000_000 < sdk.ask()["evaluatedAt"] < 10_000_000_000_000


# --- failures ------------------------------------------------------------------------------------------------------


def test_malformed_flag__fails_and_leaves_the_others_valid(sdk: Sdk, stored_flag: Make) -> None:
    stored_flag("broken", filters={"groups": [{"properties": 5}]})
    stored_flag("fine")
    answer = sdk.ask()
    assert answer["errorsWhileComputingFlags"] is True
    assert answer["flags"]["fine"]["enabled"] is True
    assert "failed" not in answer["flags"]["fine"]
    broken = answer["flags"]["broken"]
    assert (broken["enabled"], broken["failed"], broken["variant"]) == (False, True, None)
    assert broken["reason"] == {"code": "database_error", "condition_index": None, "description": None}


@pytest.mark.parametrize("path", ["/flags/?v=2", "/flags", "/decide/?v=3"])
@pytest.mark.parametrize("body", [{"distinct_id": "a"}, {}, None, {"token": "", "distinct_id": "a"}, {"token": None}])
def test_without_token__is_refused(sdk: Sdk, path: str, body: Any) -> None:
    answer = sdk.post(path, body)
    assert answer.status_code == 401
    assert answer.json() == {
        "type": "authentication_error",
        "code": "not_authenticated",
        "detail": "No API token provided. Please include a valid API token in your request.",
        "attr": None,
    }


@pytest.mark.parametrize("token", ["phc_unknown", 5, "a\x00", "é", ["x"], "x" * 10_000])
def test_unknown_token__is_refused(sdk: Sdk, token: Any) -> None:
    answer = sdk.post(body={"token": token, "distinct_id": "a"})
    assert answer.status_code == 401
    assert answer.json() == {
        "type": "authentication_error",
        "code": "authentication_failed",
        "detail": "The provided API key is invalid or has expired. Please check your API key and try again.",
        "attr": None,
    }


@pytest.mark.parametrize("body", [{}, {"distinct_id": None}])
def test_without_distinct_id__is_refused_in_words(sdk: Sdk, body: dict[str, Any]) -> None:
    answer = sdk.post(body={"token": sdk.token} | body)
    assert (answer.status_code, answer["Content-Type"].split(";")[0]) == (400, "text/plain")
    assert (
        answer.content.decode()
        == "The distinct_id field is missing from the request. Please include a valid identifier."
    )


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"text"', b"5", b"\x1f\x8bno-gzip", b"[" * 500 + b"]" * 500])
def test_undecodable__is_refused_in_words(sdk: Sdk, body: bytes) -> None:
    answer = sdk.post(body=body)
    assert (answer.status_code, answer["Content-Type"].split(";")[0]) == (400, "text/plain")
    text = answer.content.decode()
    assert text.startswith("Failed to decode request: ")
    assert text.endswith(". Please check your request format and try again.")


def test_unsupported_compression__is_refused(sdk: Sdk) -> None:
    answer = sdk.post("/flags/?v=2&compression=lz64", b"{}")
    assert (answer.status_code, answer.content) == (400, b"Unsupported compression type")


def test_too_large__is_refused(sdk: Sdk) -> None:
    body = orjson.dumps({"token": sdk.token, "distinct_id": "a", "person_properties": {"x": "a" * (2 << 20)}})
    assert sdk.post(body=body).status_code == 413
    assert sdk.post("/flags/?v=2&compression=gzip", gzip.compress(body)).status_code == 413


# --- transfer ------------------------------------------------------------------------------------------------------

PACKINGS: dict[str, tuple[str, Callable[[bytes], bytes], dict[str, str]]] = {
    "plain": ("", lambda body: body, {}),
    "text/plain": ("", lambda body: body, {"content_type": "text/plain"}),
    "gzip header": ("", gzip.compress, {"Content-Encoding": "gzip"}),
    "gzip query": ("&compression=gzip", gzip.compress, {"content_type": "text/plain"}),
    "gzip-js": ("&compression=gzip-js", gzip.compress, {"content_type": "text/plain"}),
    "gzip bytes": ("", gzip.compress, {}),
    "base64": ("&compression=base64", base64.b64encode, {}),
    "form": (
        "&compression=base64",
        lambda body: b"data=" + quote(base64.b64encode(body)).encode(),
        {"content_type": "application/x-www-form-urlencoded"},
    ),
}


@pytest.mark.parametrize("packing", PACKINGS)
def test_body__however_packed__is_read(sdk: Sdk, stored_flag: Make, packing: str) -> None:
    stored_flag("on")
    query, pack, headers = PACKINGS[packing]
    body = orjson.dumps({"api_key": sdk.token, "$distinct_id": "user-61"})
    answer = sdk.post(f"/flags/?v=2{query}", pack(body), **headers)
    assert answer.json()["flags"]["on"]["enabled"] is True


# --- methods -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/flags/?v=2", "/flags?v=1", "/decide/?v=2", "/decide?v=1", "/flags"])
def test_get__is_an_empty_answer_of_its_shape(db: None, path: str) -> None:
    answer = Client().get(path)
    body = answer.json()
    assert answer.status_code == 200
    assert body.get("flags", body.get("featureFlags")) in ({}, [])
    assert body["toolbarParams"] == {}
    assert body["supportedCompression"] == ["gzip", "gzip-js"]
    assert body["config"] == {"enable_collect_everything": True}
    assert (body["isAuthenticated"], body["sessionRecording"]) == (False, False)


@pytest.mark.parametrize("path", ["/flags", "/flags/", "/decide", "/decide/"])
def test_methods(db: None, path: str) -> None:
    client = Client()
    assert client.head(path).status_code == 200
    options = client.options(path)
    assert (options.status_code, options["Allow"]) == (204, "GET, POST, OPTIONS, HEAD")
    for method in ("put", "patch", "delete"):
        assert getattr(client, method)(path).status_code == 405


def test_any_origin__may_read_the_answer(sdk: Sdk) -> None:
    answer = sdk.post(body={"token": sdk.token, "distinct_id": "a"}, Origin="https://shop.example")
    assert answer["Access-Control-Allow-Origin"] == "https://shop.example"
    assert answer["Access-Control-Allow-Credentials"] == "true"
    preflight = Client().options(
        "/flags/", headers={"Origin": "https://shop.example", "Access-Control-Request-Headers": "content-type,x-a"}
    )
    assert preflight["Access-Control-Allow-Headers"] == "content-type,x-a"
    assert preflight["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS, HEAD"


def test_cookies__are_neither_read_nor_set(sdk: Sdk) -> None:
    sdk.client.cookies["sessionid"] = "x" * 32
    answer = sdk.post(body={"token": sdk.token, "distinct_id": "a"})
    assert answer.status_code == 200
    assert not answer.cookies
    assert "Cookie" not in answer.get("Vary", "")


# --- what is asked -------------------------------------------------------------------------------------------------


def test_flag_keys__restrict_the_answer_and_not_what_is_asked(sdk: Sdk, stored_flag: Make) -> None:
    target = stored_flag("target")
    condition = {"key": str(target.pk), "type": "flag", "value": True, "operator": "flag_evaluates_to"}
    stored_flag("needs", groups=[{"properties": [condition]}])
    stored_flag("other")
    for name in ("flag_keys_to_evaluate", "flag_keys"):
        assert sdk.values(**{name: ["needs", "unknown", 5]}) == {"needs": True}
    assert sdk.values(flag_keys_to_evaluate=[]) == {}
    assert sdk.values(flag_keys_to_evaluate="needs").keys() == {"target", "needs", "other"}


@pytest.mark.parametrize(
    ("path", "body"),
    [("/flags/?v=2", {"disable_flags": True}), ("/flags/?v=2&only_evaluate_survey_feature_flags=true", {})],
)
def test_flags__not_wanted__are_none(sdk: Sdk, stored_flag: Make, path: str, body: dict[str, Any]) -> None:
    stored_flag("on")
    assert sdk.ask(path, **body)["flags"] == {}


@pytest.mark.parametrize("distinct_id", [42, 1.5, "", "a" * 500, True, {"a": 1}])
def test_distinct_id__of_any_kind__is_text(sdk: Sdk, stored_flag: Make, distinct_id: Any) -> None:
    stored_flag("on")
    assert sdk.ask(distinct_id=distinct_id)["flags"]["on"]["enabled"] is True


def test_numeric_distinct_id__is_bucketed_as_its_text(sdk: Sdk, stored_flag: Make) -> None:
    stored_flag("number-id", groups=[EVERYBODY | {"rollout_percentage": 47}])
    assert sdk.values(distinct_id=42) == sdk.values(distinct_id="42") == {"number-id": True}


def test_device__is_read_where_clients_put_it(sdk: Sdk, stored_flag: Make) -> None:
    stored_flag("device-flag", groups=[EVERYBODY | {"rollout_percentage": 50}], bucketing_identifier="device_id")
    for body in (
        {"device_id": "device-1"},
        {"$device_id": "device-1"},
        {"person_properties": {"$device_id": "device-1"}},
        {"device_id": None, "person_properties": {"$device_id": "device-1"}},
    ):
        assert sdk.values(**body) == {"device-flag": True}
    assert sdk.values(device_id=None) == {"device-flag": False}


@pytest.mark.parametrize("name", ["person_properties", "$properties"])
def test_person_properties__are_read(sdk: Sdk, stored_flag: Make, name: str) -> None:
    stored_flag("pro", groups=[{"properties": [PRO]}])
    assert sdk.values(**{name: {"plan": "PRO"}}) == {"pro": True}
    assert sdk.values(**{name: ["plan", "pro"]}) == {"pro": False}


@pytest.mark.parametrize(
    ("flag_runtime", "headers", "body", "is_seen"),
    [
        ("client", {"User-Agent": "Mozilla/5.0"}, {}, True),
        ("server", {"User-Agent": "Mozilla/5.0"}, {}, False),
        ("server", {"User-Agent": "posthog-node/5.70.0", "Sec-Fetch-Mode": "cors"}, {}, True),
        ("client", {"User-Agent": "posthog-node/5.70.0", "Sec-Fetch-Mode": "cors"}, {}, False),
        ("client", {"User-Agent": "x", "Sec-Fetch-Mode": "cors"}, {}, True),
        ("client", {"User-Agent": "posthog-flutter/4"}, {}, True),
        ("client", {"Origin": "https://a.example"}, {}, True),
        ("client", {}, {}, False),
        ("server", {}, {}, False),
        ("all", {}, {}, True),
        ("server", {"User-Agent": "Mozilla/5.0"}, {"evaluation_runtime": "server"}, True),
        ("server", {"User-Agent": "curl/8"}, {"evaluation_runtime": "all"}, True),
        ("server", {"User-Agent": "curl/8"}, {"evaluation_runtime": 5}, True),
    ],
)
def test_runtime__decides_which_flags_are_seen(
    sdk: Sdk, stored_flag: Make, flag_runtime: str, headers: dict[str, str], body: dict[str, Any], is_seen: bool
) -> None:
    stored_flag("one", evaluation_runtime=flag_runtime)
    assert ("one" in sdk.ask(headers=headers, **body)["flags"]) is is_seen


@pytest.mark.parametrize("name", ["evaluation_contexts", "evaluation_environments"])
def test_contexts__one_must_be_named(sdk: Sdk, stored_flag: Make, name: str) -> None:
    stored_flag("everywhere")
    stored_flag("docs", evaluation_contexts=["docs", "blog"])
    assert sdk.values().keys() == {"everywhere"}
    assert sdk.values(**{name: ["app"]}).keys() == {"everywhere"}
    assert sdk.values(**{name: ["app", "blog", 5]}).keys() == {"everywhere", "docs"}


def test_has_experiment__is_true_for_a_flag_with_a_live_experiment(
    sdk: Sdk, stored_flag: Make, experiment_on: Callable[..., Experiment]
) -> None:
    used, unused = stored_flag("used"), stored_flag("unused")
    experiment_on(used.pk)
    experiment_on(unused.pk, deleted=True)
    found = sdk.ask()["flags"]
    assert found["used"]["metadata"]["has_experiment"] is True
    assert found["unused"]["metadata"]["has_experiment"] is False


def test_encrypted_payload__leaves_as_its_marker(sdk: Sdk, flags: Any) -> None:
    flags.made(
        key="secret",
        is_remote_configuration=True,
        has_encrypted_payloads=True,
        filters={"groups": [EVERYBODY], "payloads": {"true": '{"password": 1}'}},
    )
    assert sdk.ask()["flags"]["secret"]["metadata"]["payload"] == '"********* (encrypted)"'

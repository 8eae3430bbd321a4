"""The OpenFeature Remote Evaluation Protocol."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.test import Client

from events.models import GroupType
from feature_flags.models import FeatureFlag
from projects.models import Project, User
from tests.feature_flags.conftest import key_of
from tests.feature_flags.sdk.conftest import EVERYBODY, LAYOUTS, PRO

Make = Callable[..., FeatureFlag]
BULK = "/ofrep/v1/evaluate/flags"


class Provider:
    """Asks as an OpenFeature provider does."""

    def __init__(self, project: Project) -> None:
        self.token = project.api_token

    def post(self, path: str, body: Any, **headers: str) -> Any:
        sent = body if isinstance(body, bytes) else orjson.dumps(body)
        headers = headers or {"Authorization": f"Bearer {self.token}"}
        return Client().post(path, sent, content_type="application/json", headers=headers)

    def one(self, key: str, **context: Any) -> Any:
        """The success object of one flag for user-61."""
        answer = self.post(f"{BULK}/{key}", {"context": {"targetingKey": "user-61"} | context})
        assert answer.status_code == 200, answer.content
        return answer.json()


@pytest.fixture
def provider(project: Project) -> Provider:
    return Provider(project)


def half(percentage: float = 50) -> list[dict[str, Any]]:
    return [EVERYBODY | {"rollout_percentage": percentage}]


def pro(**more: Any) -> dict[str, Any]:
    return {"properties": [PRO], "rollout_percentage": 100} | more


# columns of the flag, context; value (absent: ...), variant, reason
ANSWERS: dict[str, tuple[dict[str, Any], dict[str, Any], Any, str, str]] = {
    "open": ({}, {}, True, "on", "STATIC"),
    "in rollout": ({"key": "beta-search-rollout", "groups": half(25.5)}, {}, True, "on", "SPLIT"),
    "out of rollout": ({"groups": half(0)}, {}, False, "off", "SPLIT"),
    "targeted": ({"groups": [pro()]}, {"plan": "pro"}, True, "on", "TARGETING_MATCH"),
    "not targeted": ({"groups": [pro()]}, {}, False, "off", "UNKNOWN"),
    "open after targeted": ({"groups": [pro(), EVERYBODY]}, {}, True, "on", "TARGETING_MATCH"),
    "no groups": ({"groups": []}, {}, False, "off", "UNKNOWN"),
    "enrolled": (
        {"key": "early", "feature_enrollment": True},
        {"$feature_enrollment/early": True},
        True,
        "on",
        "STATIC",
    ),
    "variant by hash": (
        {"key": "checkout-layout", "multivariate": {"variants": LAYOUTS}},
        {},
        "compact",
        "compact",
        "SPLIT",
    ),
    "variant by override": (
        {"groups": [pro(variant="spacious")], "multivariate": {"variants": LAYOUTS}},
        {"plan": "pro"},
        "spacious",
        "spacious",
        "TARGETING_MATCH",
    ),
    "no variant": (
        {"groups": [], "multivariate": {"variants": LAYOUTS}},
        {},
        ...,
        "off",
        "UNKNOWN",
    ),
    "holdout": ({"holdout": {"id": 9, "exclusion_percentage": 100}}, {}, ..., "holdout-9", "SPLIT"),
    "remote configuration": (
        {"is_remote_configuration": True, "payloads": {"true": '{"a": 1.0, "big": 123456789012345678901234567890}'}},
        {},
        {"a": 1.0, "big": 123456789012345678901234567890},
        "on",
        "STATIC",
    ),
    "remote configuration without payload": ({"is_remote_configuration": True}, {}, ..., "on", "STATIC"),
    "remote configuration off": (
        {"is_remote_configuration": True, "groups": half(0), "payloads": {"true": "1"}},
        {},
        ...,
        "off",
        "SPLIT",
    ),
    "inactive": ({"active": False}, {}, False, "off", "DISABLED"),
    "inactive multivariate": (
        {"active": False, "multivariate": {"variants": LAYOUTS}},
        {},
        ...,
        "off",
        "DISABLED",
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answer__tells_value_variant_and_reason(provider: Provider, stored_flag: Make, name: str) -> None:
    columns, context, value, variant, reason = ANSWERS[name]
    columns = {"key": "beta"} | columns
    flag = stored_flag(**columns)
    answer = provider.one(columns["key"], **context)
    assert (answer["variant"], answer["reason"]) == (variant, reason)
    assert answer.get("value", ...) == value
    assert answer["key"] == columns["key"]
    assert answer["metadata"]["flagId"] == flag.pk
    assert all(isinstance(item, bool | str | int | float) for item in answer["metadata"].values())


def test_metadata__tells_how_the_answer_came_about(provider: Provider, stored_flag: Make) -> None:
    flag = stored_flag("beta", payloads={"true": '{"limit": 10}'}, version=4)
    assert provider.one("beta")["metadata"] == {
        "flagId": flag.pk,
        "version": 4,
        "reasonCode": "condition_match",
        "conditionIndex": 0,
        "payload": '{"limit": 10}',
    }


def test_float_payload__stays_one(provider: Provider, stored_flag: Make) -> None:
    stored_flag("price", is_remote_configuration=True, payloads={"true": "1.0"})
    answer = provider.post(f"{BULK}/price", {"context": {"targetingKey": "a"}})
    assert b'"value":1.0' in answer.content


@pytest.mark.parametrize("spelling", ["group_properties", "groupProperties"])
def test_context__names_groups(provider: Provider, project: Project, stored_flag: Make, spelling: str) -> None:
    GroupType.objects.create(project=project, group_type="company", group_type_index=0)
    gold = {"key": "tier", "type": "group", "value": "gold", "operator": "exact", "group_type_index": 0}
    stored_flag("gold", filters={"aggregation_group_type_index": 0, "groups": [{"properties": [gold]}]})
    company = {"groups": {"company": "acme"}, spelling: {"company": {"tier": "gold"}}}
    assert provider.one("gold", **company)["value"] is True
    assert provider.one("gold")["reason"] == "UNKNOWN"


@pytest.mark.parametrize("spelling", ["device_id", "deviceId"])
def test_context__names_the_device(provider: Provider, stored_flag: Make, spelling: str) -> None:
    stored_flag("device-flag", groups=half(), bucketing_identifier="device_id")
    assert provider.one("device-flag", **{spelling: "device-1"})["value"] is True


REFUSALS: list[tuple[Any, str]] = [
    (b"{", "PARSE_ERROR"),
    (b"", "PARSE_ERROR"),
    ([], "INVALID_CONTEXT"),
    ("text", "INVALID_CONTEXT"),
    ({"context": []}, "INVALID_CONTEXT"),
    ({"context": {"targetingKey": 5}}, "INVALID_CONTEXT"),
    ({}, "TARGETING_KEY_MISSING"),
    ({"context": None}, "TARGETING_KEY_MISSING"),
    ({"context": {}}, "TARGETING_KEY_MISSING"),
]


@pytest.mark.parametrize(("body", "code"), REFUSALS)
def test_bad_request__is_named(provider: Provider, stored_flag: Make, body: Any, code: str) -> None:
    stored_flag("beta")
    single, bulk = provider.post(f"{BULK}/beta", body), provider.post(BULK, body)
    assert (single.status_code, bulk.status_code) == (400, 400)
    assert (single.json()["key"], single.json()["errorCode"]) == ("beta", code)
    assert bulk.json().keys() == {"errorCode", "errorDetails"}
    assert bulk.json()["errorCode"] == code
    assert single.json()["errorDetails"]


def test_unknown_flag__is_not_found(provider: Provider, stored_flag: Make) -> None:
    stored_flag("gone", deleted=True)
    for key in ("gone", "unknown"):
        answer = provider.post(f"{BULK}/{key}", {"context": {"targetingKey": "a"}})
        assert answer.status_code == 404
        assert (answer.json()["key"], answer.json()["errorCode"]) == (key, "FLAG_NOT_FOUND")
        assert answer.json()["errorDetails"]


def test_failed_flag__is_an_error_alone_and_an_item_among_others(provider: Provider, stored_flag: Make) -> None:
    stored_flag("broken", filters={"groups": 5})
    stored_flag("fine")
    failure = {"key": "broken", "errorCode": "GENERAL", "errorDetails": "database_error"}
    single = provider.post(f"{BULK}/broken", {"context": {"targetingKey": "a"}})
    assert (single.status_code, single.json()) == (400, failure)
    bulk = provider.post(BULK, {"context": {"targetingKey": "a"}}).json()["flags"]
    assert bulk[0] == failure
    assert (bulk[1]["key"], bulk[1]["value"]) == ("fine", True)


def test_bulk__has_the_visible_active_flags(provider: Provider, stored_flag: Make) -> None:
    stored_flag("all")
    stored_flag("inactive", active=False)
    stored_flag("of-clients", evaluation_runtime="client")
    stored_flag("of-servers", evaluation_runtime="server")
    stored_flag("of-docs", evaluation_contexts=["docs"])
    body = {"context": {"targetingKey": "a"}}
    headers = {"X-API-Key": provider.token, "User-Agent": "python-requests/2"}
    answer = provider.post(f"{BULK}?flagConfigEtag=x", body, **headers)
    assert [flag["key"] for flag in answer.json()["flags"]] == ["all", "of-servers"]


def test_bulk__unchanged__is_304(provider: Provider, stored_flag: Make) -> None:
    stored_flag("beta")
    body = {"context": {"targetingKey": "a"}}
    etag = provider.post(BULK, body)["ETag"]
    known = {"Authorization": f"Bearer {provider.token}", "If-None-Match": etag}
    again = provider.post(BULK, body, **known)
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", etag)
    FeatureFlag.objects.update(active=False)
    assert provider.post(BULK, body, **known).status_code == 200


def test_credentials(provider: Provider, project: Project, owner: User, stored_flag: Make) -> None:
    stored_flag("beta")
    owner.current_project = project
    owner.save()
    stranger = User.objects.create_user("stranger@example.com")
    for value, status in (
        (provider.token, 200),
        (key_of(owner, "feature_flag:read"), 200),
        (key_of(owner, "experiment:read"), 403),
        (key_of(stranger), 401),
        ("phc_unknown", 401),
        ("phx_unknown", 401),
        ("phs_unknown", 401),
    ):
        for path in (BULK, f"{BULK}/", f"{BULK}/beta", f"{BULK}/beta/"):
            for headers in ({"Authorization": f"Bearer {value}"}, {"X-API-Key": value}):
                answer = provider.post(path, {"context": {"targetingKey": "a"}}, **headers)
                assert answer.status_code == status
                assert status == 200 or answer.content == b""
    assert Client().post(BULK).status_code == 401

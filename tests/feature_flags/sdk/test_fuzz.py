"""Whatever is sent to the endpoints of client libraries, the service does not fail."""

import base64
import gzip
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.models import GroupType
from feature_flags.models import FeatureFlag
from projects.models import Project
from tests.feature_flags.sdk.conftest import EVERYBODY, LAYOUTS, PRO

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = (
    "token",
    "api_key",
    "distinct_id",
    "$distinct_id",
    "person_properties",
    "groups",
    "group_properties",
    "$anon_distinct_id",
    "device_id",
    "flag_keys_to_evaluate",
    "disable_flags",
    "evaluation_contexts",
    "evaluation_runtime",
)
TOKEN = "phc_fuzzed"
BODY = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(KEYS, JSON),
        "token": st.just(TOKEN) | JSON,
        "distinct_id": st.text(max_size=300) | JSON,
        "person_properties": st.dictionaries(st.sampled_from(["plan", "$device_id", "x"]), JSON) | JSON,
        "groups": st.dictionaries(st.sampled_from(["company", "x"]), JSON) | JSON,
        "group_properties": st.dictionaries(st.sampled_from(["company", "x"]), JSON) | JSON,
    },
)
VERSIONS = st.sampled_from(["", "1", "2", "3", "4", "-1", "x", "99999999999", "٢", "2.5"])
PATHS = st.sampled_from(["/flags/", "/flags", "/decide/", "/decide"])
QUERIES = st.builds(
    lambda version, more: {"v": version} | more,
    VERSIONS,
    st.dictionaries(
        st.sampled_from(
            ["config", "compression", "only_evaluate_survey_feature_flags", "only_use_override_person_properties", "_"]
        ),
        st.sampled_from(["true", "gzip", "gzip-js", "base64", "", "x", "\x00", "1"]),
        max_size=2,
    ),
)


def _json(document: Any) -> bytes:
    return json.dumps(document).encode()


PACKERS: tuple[Callable[[bytes], bytes], ...] = (
    lambda body: body,
    gzip.compress,
    base64.b64encode,
    lambda body: b"data=" + base64.b64encode(body),
    lambda body: gzip.compress(body)[:-5],
    lambda body: body[: len(body) // 2],
)
TYPES = st.sampled_from(["application/json", "text/plain", "application/x-www-form-urlencoded", "", "x" * 50])
FUZZING = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def fuzzed(project: Project) -> Client:
    """A project whose flags look at everything a request may say."""
    Project.objects.filter(pk=project.pk).update(api_token=TOKEN)
    GroupType.objects.create(project=project, group_type="company", group_type_index=0)
    tier = {"key": "tier", "type": "group", "value": "gold", "operator": "exact", "group_type_index": 0}
    documents: list[dict[str, Any]] = [
        {"groups": [{"properties": [PRO]}, EVERYBODY], "multivariate": {"variants": LAYOUTS}},
        {"aggregation_group_type_index": 0, "groups": [{"properties": [tier], "rollout_percentage": 50}]},
        {"groups": [{"properties": [PRO | {"operator": "regex"}, PRO | {"key": "x", "operator": "gt"}]}]},
        {"groups": "unreadable"},
    ]
    for number, filters in enumerate(documents):
        FeatureFlag.objects.create(
            project=project,
            key=f"flag-{number}",
            filters=filters,
            ensure_experience_continuity=number == 0,
            bucketing_identifier="device_id" if number == 2 else "distinct_id",
        )
    return Client(raise_request_exception=True)


@FUZZING
@given(PATHS, QUERIES, BODY | JSON, st.sampled_from(PACKERS), TYPES)
def test_any_document__is_answered(
    fuzzed: Client, path: str, query: dict[str, str], body: Any, pack: Callable[[bytes], bytes], kind: str
) -> None:
    answer = fuzzed.post(path, pack(_json(body)), content_type=kind, query_params=query)
    assert answer.status_code in (200, 400, 401, 413)


@FUZZING
@given(PATHS, QUERIES, st.binary(max_size=200), TYPES, st.sampled_from(["", "gzip", "br"]))
def test_any_bytes__are_answered(
    fuzzed: Client, path: str, query: dict[str, str], body: bytes, kind: str, encoding: str
) -> None:
    answer = fuzzed.post(path, body, content_type=kind, query_params=query, headers={"Content-Encoding": encoding})
    assert answer.status_code in (200, 400, 401, 413)


@FUZZING
@given(BODY.map(lambda body: body | {"token": TOKEN, "distinct_id": "a"}))
def test_any_request_of_a_known_project__is_a_200(fuzzed: Client, body: dict[str, Any]) -> None:
    answer = fuzzed.post("/flags/?v=2", _json(body), content_type="application/json")
    assert answer.status_code == 200, answer.content
    assert answer.json()["errorsWhileComputingFlags"] in (True, False)


@FUZZING
@given(JSON, st.sampled_from(["flag-0", "flag-1", "flag-3", "unknown", ""]))
def test_any_context__is_answered(fuzzed: Client, context: Any, key: str) -> None:
    body = _json({"context": context if not isinstance(context, dict) else {"targetingKey": "a", **context}})
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = fuzzed.post(f"/ofrep/v1/evaluate/flags/{key}", body, content_type="application/json", headers=headers)
    assert answer.status_code in (200, 400, 404)


@FUZZING
@given(st.text(max_size=80).filter(lambda token: "/" not in token and token not in (".", "..")))
def test_any_token_in_a_path__is_answered(fuzzed: Client, token: str) -> None:
    path = f"/array/{quote(token.encode('utf-8', 'replace'))}/config.js"
    assert fuzzed.get(path).status_code in (200, 404)

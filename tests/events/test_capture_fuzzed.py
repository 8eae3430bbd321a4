"""Whatever is sent to capture: an answer that is documented, and all or nothing stored."""

import gzip
import json
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.models import Event, Person
from projects.models import Project

pytestmark = pytest.mark.django_db

FEW = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda members: st.lists(members, max_size=3) | st.dictionaries(st.text(max_size=8), members, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["event", "distinct_id", "$distinct_id", "properties", "timestamp", "offset", "uuid", "$set", "$set_once", "$unset"]
)
NEEDED: dict[str, st.SearchStrategy[Any]] = {
    "event": st.sampled_from(["seen", "$identify", "$create_alias", "$groupidentify", "$feature_flag_called", ""]),
    "distinct_id": st.sampled_from(["a", "b", "c", 5, "null", "x" * 300]),
}
OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "timestamp": st.sampled_from(["2026-01-01T00:00:00Z", "9999-12-31", "0001-01-01", "x", None]),
    "uuid": st.sampled_from(["0190b3e4-7c1e-7a51-9b1d-2f6d1c9a8e77", "x", None]),
    "properties": st.dictionaries(
        st.sampled_from(
            ["$set", "$set_once", "$unset", "$anon_distinct_id", "alias", "$groups", "$group_type", "$group_key",
             "$group_set", "$group_0", "$feature_flag", "$feature_flag_response", "$session_id", "a\x00"]
        ),
        JSON,
        max_size=4,
    ),
}  # fmt: skip
LIKELY = st.fixed_dictionaries(NEEDED, optional=OPTIONAL)
EVENTS = st.one_of(
    LIKELY,
    st.dictionaries(NAMES, JSON, max_size=5),
    JSON,
)


def post(body: bytes, query: str = "") -> Any:
    return Client().generic("POST", f"/batch/{query}", body, content_type="application/json")


def check(response: Any, project: Project, stored_before: int, sent: int) -> None:
    assert response.status_code in (200, 400, 401, 413), response.content
    stored = Event.objects.filter(project=project).count() - stored_before
    if response.status_code == 200:
        assert response.json() == {"status": "Ok"}
        assert stored <= sent
    else:
        assert stored == 0


@FEW
@given(events=st.lists(EVENTS, max_size=5))
def test_any_events(project: Project, events: list[Any]):
    before, persons = Event.objects.filter(project=project).count(), Person.objects.count()
    response = post(json.dumps({"api_key": project.api_token, "batch": events}).encode())

    check(response, project, before, len(events))
    if response.status_code != 200:
        assert Person.objects.count() == persons


@FEW
@given(events=st.lists(LIKELY, min_size=1, max_size=5))
def test_likely_events__twice__are_stored_once(project: Project, events: list[Any]):
    body = json.dumps({"api_key": project.api_token, "batch": events}).encode()
    before = Event.objects.filter(project=project).count()
    first = post(body)
    check(first, project, before, len(events))
    with_uuid = [sent for sent in events if sent.get("uuid", "x") not in ("x", None) and sent.get("timestamp")]
    if first.status_code == 200 and len(with_uuid) == len(events):
        between = Event.objects.filter(project=project).count()
        assert post(body).status_code == 200
        assert Event.objects.filter(project=project).count() == between


@FEW
@given(
    body=st.binary(max_size=100) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")),
    prefix=st.sampled_from([b"", b'{"batch": [', b'{"api_key": "x", "batch": [{"event": "', b"data=", b"\x1f\x8b\x08"]),
    query=st.sampled_from(["", "?compression=gzip", "?compression=base64", "?compression=lz64", "?_=x", "?beacon=1"]),
    zipped=st.booleans(),
)
def test_any_bytes(project: Project, body: bytes, prefix: bytes, query: str, zipped: bool):
    sent = prefix + body
    response = post(gzip.compress(sent) if zipped else sent, query)

    assert response.status_code in (200, 204, 400, 401, 413), response.content
    assert not Event.objects.filter(project=project).exists()

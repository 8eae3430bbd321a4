"""The capture endpoints: shapes, encodings, answers, refusals."""

import base64
import gzip
import json
from typing import Any
from unittest.mock import patch
from urllib.parse import quote_plus
from uuid import UUID

import pytest
from django.db import OperationalError
from django.test import Client

from events.models import EventDefinition, Person
from projects.models import Project
from tests.capturing import Capture, event, person_of, stored

PATHS = ["/batch", "/capture", "/e", "/i/v0/e", "/track", "/engage"]
UUID_ = "0190b3e4-7c1e-7a51-9b1d-2f6d1c9a8e77"


@pytest.fixture
def token(project: Project) -> str:
    return project.api_token


def post(path: str, body: Any, **headers: Any) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Client().generic("POST", path, content, content_type="application/json", headers=headers)


@pytest.mark.parametrize("path", [*PATHS, *(f"{path}/" for path in PATHS)])
def test_post__every_path__stores_the_event(project: Project, token: str, path: str):
    response = post(path, {**event(), "api_key": token})

    assert (response.status_code, response.json()) == (200, {"status": "Ok"})
    assert [(found.event, found.distinct_id) for found in stored(project)] == [("bought", "ada")]


@pytest.mark.parametrize(
    "shape",
    [
        lambda token: {"api_key": token, "batch": [event()]},
        lambda token: {"token": token, "batch": [event()], "historical_migration": True},
        lambda token: {"batch": [{**event(), "token": token}]},
        lambda token: [{**event(), "api_key": token}],
        lambda token: [{**event(), "$token": token}],
        lambda token: {**event(), "token": f" {token} "},
        lambda token: {**event(), "properties": {"token": token}},
        lambda token: {"event": "bought", "$distinct_id": "ada", "token": token},
        lambda token: {"event": "bought", "properties": {"distinct_id": "ada", "token": token}},
    ],
)
def test_post__every_shape__stores_the_event(project: Project, token: str, shape: Any):
    assert post("/e/", shape(token)).status_code == 200
    assert [(found.event, found.distinct_id) for found in stored(project)] == [("bought", "ada")]


def test_post__encodings__store_the_event(project: Project, token: str):
    text = json.dumps({**event(), "token": token}).encode()
    encoded = base64.b64encode(text).decode()
    requests = [
        post("/e/?compression=gzip-js", gzip.compress(text)),
        post("/batch/", gzip.compress(text), **{"Content-Encoding": "gzip"}),
        post("/e/?compression=base64", encoded.encode()),
        Client().post("/e/", f"data={quote_plus(encoded)}", content_type="application/x-www-form-urlencoded"),
        Client().get("/e/", {"data": encoded}),
    ]

    assert [response.status_code for response in requests] == [200] * len(requests)
    assert len(stored(project)) == len(requests)


def test_engage__event_without_name__identifies(project: Project, token: str):
    post("/engage/", {"distinct_id": "ada", "token": token, "$set": {"plan": "pro"}})

    assert [found.event for found in stored(project)] == ["$identify"]
    assert person_of(project, "ada").properties == {"plan": "pro"}


def test_beacon__is_answered_204_without_content(project: Project, token: str):
    response = post("/e/?beacon=1", {**event(), "token": token})

    assert (response.status_code, response.content) == (204, b"")
    assert len(stored(project)) == 1


def test_unknown_token__is_answered_200_and_dropped(db: None):
    response = post("/batch/", {"api_key": "phc_nobody", "batch": [event()]})

    assert (response.status_code, response.json()) == (200, {"status": "Ok"})
    assert Person.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"api_key": "T", "batch": []}, 400, "request holds no event"),
        (b"", 400, "request holds no event"),
        ([], 400, "request holds no event"),
        ({"api_key": "T", "event": "", "distinct_id": "a"}, 400, "event submitted with an empty event name"),
        ({"api_key": "T", "distinct_id": "a"}, 400, "event submitted with an empty event name"),
        ({"api_key": "T", "event": "\x00", "distinct_id": "a"}, 400, "event submitted with an empty event name"),
        ({"api_key": "T", "event": "e"}, 400, "event submitted without a distinct_id"),
        ({"api_key": "T", "event": "e", "distinct_id": ""}, 400, "event submitted without a distinct_id"),
        ({"api_key": "T", "event": "e", "distinct_id": "\x00"}, 400, "event submitted without a distinct_id"),
        ({"api_key": "T", **event(timestamp="yesterday")}, 400, "event submitted with invalid timestamp"),
        ({"api_key": "T", **event(timestamp=5)}, 400, "event submitted with invalid timestamp"),
        (event(), 401, "event submitted without an api_key"),
        ({**event(), "api_key": 5}, 401, "event submitted without an api_key"),
        ([event(token="a"), event(token="b")], 401, "batch submitted with inconsistent api_key values"),
        (event(api_key=" "), 401, "API key is not valid: empty"),
        ({"api_key": "", "batch": [event()]}, 401, "API key is not valid: empty"),
        (event(api_key="a" * 65), 401, "API key is not valid: too_long"),
        (event(api_key="phc_ü"), 401, "API key is not valid: not_ascii"),
        (event(api_key="phx_a"), 401, "API key is not valid: personal_api_key"),
        (event(api_key="phc_\x00"), 401, "API key is not valid: null_byte"),
    ],
)
def test_refusals(db: None, body: Any, status: int, text: str):
    response = post("/batch/", body)

    assert (response.status_code, response.content.decode()) == (status, text)
    assert response["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("body", "beginning"),
    [
        (b"not json", "failed to parse request: "),
        (b'"text"', "failed to parse request: "),
        (b'{"api_key": "T", "batch": {}}', "failed to parse request: "),
        (b'{"api_key": "T", "batch": [5]}', "failed to parse request: "),
        (b'{"api_key": "T", "event": 5, "distinct_id": "a"}', "failed to parse request: "),
        (b'{"api_key": "T", "event": "e", "distinct_id": "a", "properties": []}', "failed to parse request: "),
        (b'{"api_key": "T", "event": "e", "distinct_id": "a", "properties": ' + b'{"a":' * 400 + b"1" + b"}" * 401,
         "failed to parse request: "),
        (b"\x1f\x8b", "failed to decode request: "),
    ],
)  # fmt: skip
def test_refusals__unreadable(db: None, body: bytes, beginning: str):
    response = post("/batch/", body)

    assert response.status_code == 400
    assert response.content.decode().startswith(beginning)


def test_one_bad_event__refuses_the_whole_request(project: Project, token: str):
    response = post("/batch/", {"api_key": token, "batch": [event(), event(""), event()]})

    assert response.status_code == 400
    assert stored(project) == []
    assert not Person.objects.exists()


@pytest.mark.parametrize(
    ("path", "megabytes", "status"), [("/e/", 2.1, 413), ("/batch/", 2.1, 200), ("/batch/", 20.1, 413)]
)
def test_request_size(project: Project, token: str, path: str, megabytes: float, status: int):
    filler = "a" * 900_000
    events = [event(properties={"filler": filler}) for _ in range(int(megabytes * 1024 * 1024 / 900_000) + 1)]
    response = post(path, gzip.compress(json.dumps({"api_key": token, "batch": events}).encode(), 1))

    assert response.status_code == status
    assert len(stored(project)) == (len(events) if status == 200 else 0)


def test_event_of_more_than_a_megabyte__is_refused(project: Project, token: str):
    batch = [event(), event(properties={"filler": "a" * 1024 * 1024})]
    response = post("/batch/", {"api_key": token, "batch": batch})

    assert response.status_code == 413
    assert response.content.decode().startswith("maximum event size exceeded: ")
    assert stored(project) == []


def test_database_away__is_answered_503(project: Project, token: str):
    with patch("events.ingestion.store", side_effect=OperationalError("gone")):
        response = post("/batch/", {"api_key": token, "batch": [event()]})

    assert (response.status_code, response.content) == (503, b"transient error, please retry")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "HEAD"])
def test_other_methods__are_refused(method: str):
    response = Client().generic(method, "/e/")

    assert (response.status_code, response["Allow"]) == (405, "GET, POST, OPTIONS")


def test_options__answers_cors():
    response = Client().options(
        "/e/", headers={"Origin": "https://shop.example", "Access-Control-Request-Headers": "content-type"}
    )

    assert (response.status_code, response["Allow"]) == (204, "GET, POST, OPTIONS")
    assert response["Access-Control-Allow-Origin"] == "https://shop.example"
    assert response["Access-Control-Allow-Headers"] == "content-type"


def test_answer__mirrors_the_origin_also_of_a_refusal(project: Project, token: str):
    taken = post("/e/", {**event(), "token": token}, Origin="https://shop.example")
    refused = post("/e/", b"", Origin="https://shop.example")

    assert taken["Access-Control-Allow-Origin"] == refused["Access-Control-Allow-Origin"] == "https://shop.example"


def test_uuid__kept_when_valid_else_made(project: Project, capture: Capture):
    capture(
        event("kept", uuid=UUID_),
        event("unusual spelling", uuid=UUID_.replace("-", "").upper().replace("77", "78")),
        event("made", uuid="5"),
        event("none"),
    )
    uuids = {found.event: found.uuid for found in stored(project)}

    assert uuids["kept"] == UUID(UUID_)
    assert uuids["unusual spelling"] == UUID(UUID_.replace("77", "78"))
    assert uuids["made"].version == uuids["none"].version == 7


def test_distinct_id__other_values_become_text(project: Project, capture: Capture):
    capture(
        {"event": "number", "distinct_id": 5},
        {"event": "list", "distinct_id": [1, "a"]},
        {"event": "bool", "distinct_id": True},
        {"event": "nul", "distinct_id": "a\x00b"},
        {"event": "long", "distinct_id": "ü" * 201},
    )

    assert {found.event: found.distinct_id for found in stored(project)} == {
        "number": "5",
        "list": '[1,"a"]',
        "bool": "true",
        "nul": "ab",
        "long": "ü" * 200,
    }


def test_properties__are_stored_as_sent(project: Project, capture: Capture):
    properties = {"a": 1.0, "b": [None, {"c": "ü\n\t\\"}], "token": "x", "d": "\ud83d\ude00", "e": 12345678901234567}
    capture(event(properties=properties))

    assert stored(project)[0].properties == {**properties, "d": "\N{GRINNING FACE}"}


def test_properties__nul_characters_are_left_out(project: Project, capture: Capture):
    capture(event(properties={"a\x00": "b\x00c", "$session_id": "\x00s"}))

    assert stored(project)[0].properties == {"a": "bc", "$session_id": "s"}
    assert stored(project)[0].session_id == "s"


def test_properties__top_level_changes_are_put_in(project: Project, capture: Capture):
    above: dict[str, Any] = {"$set": {"b": 2}, "$set_once": {"c": 3}, "$unset": ["d"]}
    capture(event(properties={"$set": {"a": 1, "b": 1}}, **above))

    assert stored(project)[0].properties == {"$set": {"a": 1, "b": 2}, "$set_once": {"c": 3}, "$unset": ["d"]}


def test_columns__come_from_properties(project: Project, capture: Capture):
    capture(
        event(
            "$feature_flag_called",
            properties={
                "$session_id": "s1",
                "$feature_flag": "checkout",
                "$feature_flag_response": False,
                "$groups": {"company": "acme", "team": ""},
                "$group_1": "direct",
                "$group_3": 7,
            },
        )
    )
    found = stored(project)[0]

    assert (found.session_id, found.flag_key, found.flag_response) == ("s1", "checkout", "false")
    assert [found.group_0, found.group_1, found.group_2, found.group_3] == ["acme", "direct", None, "7"]


def test_definitions__one_per_name(project: Project, capture: Capture):
    capture(event("a"), event("b"), event("a"))
    capture(event("a"))

    assert list(EventDefinition.objects.filter(project=project).order_by("name").values_list("name", flat=True)) == [
        "a",
        "b",
    ]


def test_first_event__is_noted_on_the_project(project: Project, capture: Capture):
    assert not project.ingested_event
    capture(event())
    project.refresh_from_db()

    assert project.ingested_event

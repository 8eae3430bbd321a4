"""What a request body may be: of these inputs none may be taken for another, and none may be an error of ours."""

import json
from typing import Any

import pytest
from django.test import Client

from projects.models import Project, User
from tests.cast import error, key_for

ME = "/api/users/@me/"
FLAGS = "/api/projects/@current/feature_flags/"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
NULL = error("null_characters_not_allowed", "Null characters are not allowed.")


def surrogate(code: str = "D800") -> dict[str, str | None]:
    return error("surrogate_characters_not_allowed", f"Surrogate characters are not allowed: U+{code}.")


@pytest.fixture
def client(member: User, project: Project) -> Client:
    return Client(headers={"authorization": f"Bearer {key_for(member)}"})


def sent(client: Client, body: str | bytes, content_type: str = JSON, path: str = ME) -> tuple[int, Any]:
    verb = client.patch if path == ME else client.post
    answer = verb(path, body, content_type=content_type)
    return answer.status_code, answer.json()


# --- Empty and unknown -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", [JSON, FORM, "application/xml", "text/plain", ""])
@pytest.mark.parametrize("body", [b"", b"{}"])
def test_empty_body__counts_as_an_empty_object(client: Client, member: User, body: bytes, content_type: str):
    status, content = sent(client, body, content_type)

    if body and content_type not in {JSON, FORM}:
        assert status == 415
    else:
        assert (status, content["id"]) == (200, member.pk)


@pytest.mark.parametrize("body", [" ", "\n", "\t \r\n"])
def test_blank_body__counts_as_an_empty_object(client: Client, body: str):
    assert sent(client, body)[0] == 200


def test_empty_body__of_a_creation__misses_its_fields(client: Client):
    for content_type in (JSON, FORM):
        assert sent(client, b"", content_type, FLAGS) == (400, error("required", "This field is required.", "key"))


def test_unknown_keys__are_ignored(client: Client, member: User):
    status, _ = sent(client, json.dumps({"first_name": "New", "id": 7, "": 1, "nested": {"deep": [1]}}))

    assert status == 200
    member.refresh_from_db()
    assert member.first_name == "New"


@pytest.mark.parametrize(("body", "kind"), [("[]", "list"), ('"x"', "str"), ("7", "int"), ("true", "bool")])
def test_no_object__is_refused(client: Client, body: str, kind: str):
    assert sent(client, body) == (
        400,
        error("invalid_input", f"Invalid data. Expected a dictionary, but got {kind}."),
    )


def test_null__is_refused(client: Client):
    assert sent(client, "null")[0] == 400


# --- Syntax ------------------------------------------------------------------------------------------------------

DEEP_LIST = "[" * 101 + "]" * 101
DEEP_OBJECT = '{"a":' * 101 + "1" + "}" * 101


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"a": 1,}',
        b"{'a': 1}",
        b'{"a": 1} {"b": 2}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": -1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": -' + b"9" * 4301 + b"}",
        f'{{"a": {DEEP_LIST}}}'.encode(),
        DEEP_OBJECT.encode(),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a": "\xff"}',
        b'{"a": "\xc3"}',
        b'{"a": "\xed\xa0\x80"}',
        b"\xff\xfe{\x00}\x00",
        b'{"a": "line\nbreak"}',
        b'{"a": 01}',
        b'{"a": "\\x"}',
        b'{"a": "\\u12"}',
        b"\x00",
    ],
)
def test_malformed_json__is_a_parse_error(client: Client, body: bytes):
    status, content = sent(client, body)

    assert status == 400
    assert content["detail"].startswith("JSON parse error - ")
    assert content | {"detail": ""} == error("parse_error", "", type="invalid_request")
    assert len(content["detail"]) < 300


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": ' + b"9" * 4300 + b"}",
        b'{"a": 1e308}',
        b'{"a": 1e-999}',
        b'{"a":' * 99 + b"[1]" + b"}" * 99,
        b'{"a": 1, "a": 2}',
        '{"a": "\U0001f600 \u2028 é"}'.encode(),
        b'{"a": "\\ud83d\\ude00"}',
    ],
)
def test_unusual_json__is_taken(client: Client, body: bytes):
    assert sent(client, body)[0] == 200


def test_integer__too_many_digits__is_told_in_plain_words(client: Client):
    assert sent(client, b'{"a": ' + b"9" * 4301 + b"}") == (
        400,
        error(
            "parse_error",
            "JSON parse error - Number out of range: an integer of more than 4300 digits",
            type="invalid_request",
        ),
    )


def test_nesting__exactly_100__is_the_limit(client: Client):
    assert sent(client, '{"a":' * 100 + "1" + "}" * 100)[0] == 200
    assert sent(client, '{"a":' * 101 + "1" + "}" * 101)[0] == 400


def test_byte_order_mark__is_a_parse_error(client: Client):
    assert sent(client, b"\xef\xbb\xbf{}")[1]["code"] == "parse_error"


# --- Characters --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        '{"first_name": "a\\u0000b"}',
        '{"unknown": "\\u0000"}',
        '{"\\u0000": 1}',
        '{"a": {"b": [1, {"c\\u0000": 2}]}}',
        '{"a": [[["\\u0000"]]]}',
    ],
)
def test_null_character__anywhere_in_json__is_refused(client: Client, body: str):
    assert sent(client, body) == (400, NULL)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"first_name": "\\ud800"}', "D800"),
        ('{"first_name": "\\udfff"}', "DFFF"),
        ('{"a": ["x", {"b": "ok \\ude00\\ud83d"}]}', "DE00"),
        ('{"\\udabc": 1}', "DABC"),
    ],
)
def test_lone_surrogate__anywhere_in_json__is_refused(client: Client, body: str, code: str):
    assert sent(client, body) == (400, surrogate(code))


def test_bad_characters__in_a_form__are_refused(client: Client):
    assert sent(client, "first_name=a%00b", FORM) == (400, NULL)
    assert sent(client, "a%00=1", FORM) == (400, NULL)
    assert sent(client, "first_name=%ED%A0%80", FORM) == (400, surrogate())


def test_bad_characters__in_a_multipart_form__are_refused(client: Client):
    answer = client.post(FLAGS, {"key": "a\x00b"})

    assert (answer.status_code, answer.json()) == (400, NULL)


@pytest.mark.parametrize("query", ["search=%00", "a%00=1", "limit=1&other=x%00y"])
def test_null_character__in_the_query__is_refused(client: Client, query: str):
    for path in (ME, FLAGS, "/api/organizations/@current/members/"):
        answer = client.get(f"{path}?{query}")
        assert (answer.status_code, answer.json()) == (400, NULL)


def test_lone_surrogate__in_the_query__is_refused(client: Client):
    assert client.get(f"{FLAGS}?search=%ED%A0%80").json() == surrogate()


def test_bad_query__is_refused_after_the_object_is_missed(client: Client):
    assert client.get(f"{FLAGS}999999/?a=%00").json()["detail"] == "Not found."
    assert client.get("/api/projects/999999/feature_flags/?a=%00").json()["detail"] == "Project not found."


@pytest.mark.parametrize("part", ["%00", "%ED%A0%80", "%FF", "%F0%9F%98%80", "a%0Ab", "%E2%91%A0", "x" * 3000])
def test_odd_path__is_not_found(client: Client, part: str):
    for path in (f"{FLAGS}{part}/", f"/api/organizations/{part}/", f"/api/users/{part}/", f"/api/{part}/"):
        assert client.get(path).status_code == 404


# --- Text and booleans -------------------------------------------------------------------------------------------


def test_text__is_trimmed(client: Client):
    assert sent(client, '{"first_name": "  Ada \\n"}')[1]["first_name"] == "Ada"


@pytest.mark.parametrize("value", ["true", "True", "1", 1, True])
def test_boolean__true_in_every_spelling(owner_api: Any, value: object):
    answer = owner_api.patch("/api/projects/@current/", {"default_cuped_enabled": value})

    assert answer.json()["default_cuped_enabled"] is True


@pytest.mark.parametrize("value", ["yes", "on", "t", "", 2, -1, 0.5, [], {}, [True], "truefalse"])
def test_boolean__anything_else__is_refused(owner_api: Any, value: object):
    answer = owner_api.patch("/api/projects/@current/", {"default_cuped_enabled": value})

    assert answer.json() == error("invalid_input", "Must be a valid boolean.", "default_cuped_enabled")


# --- Size and media type -----------------------------------------------------------------------------------------

LIMIT = 20971520
TOO_LARGE = error("request_too_large", "Request body exceeds the limit of 20971520 bytes.", type="invalid_request")


def padded(size: int) -> bytes:
    return b'{"first_name": "Ada"' + b" " * (size - 21) + b"}"


def test_size__exactly_the_limit__is_taken(client: Client):
    status, content = sent(client, padded(LIMIT))

    assert (status, content["first_name"]) == (200, "Ada")


def test_size__one_more__is_refused(client: Client):
    assert sent(client, padded(LIMIT + 1)) == (413, TOO_LARGE)
    assert sent(client, b"first_name=" + b"x" * LIMIT, FORM) == (413, TOO_LARGE)


def test_size__announced_only__is_refused_unread(client: Client):
    answer = client.patch(ME, b"{}", content_type=JSON, CONTENT_LENGTH=str(LIMIT + 1))

    assert (answer.status_code, answer.json()) == (413, TOO_LARGE)


def test_size__multipart__is_refused(client: Client):
    answer = client.post(FLAGS, {"key": "x" * (LIMIT + 1)})

    assert (answer.status_code, answer.json()) == (413, TOO_LARGE)


def test_form__too_many_fields__is_a_parse_error(client: Client):
    status, content = sent(client, "&".join(f"f{number}=1" for number in range(1500)), FORM)

    assert (status, content["code"]) == (400, "parse_error")


def test_form__fields__are_taken_as_their_json_kin(client: Client):
    status, content = sent(client, "key=a-flag&active=false&name=%20A%20flag%20", FORM, FLAGS)

    assert (status, content["key"], content["active"], content["name"]) == (201, "a-flag", False, "A flag")


def test_multipart__broken__is_a_parse_error(client: Client):
    status, content = sent(client, b"--nothing", "multipart/form-data; boundary=x", FLAGS)
    assert (status, content["attr"]) == (400, "key") or content["code"] == "parse_error"

    assert sent(client, b"x", "multipart/form-data", FLAGS)[1]["code"] == "parse_error"


@pytest.mark.parametrize("content_type", ["application/xml", "text/plain", "application/yaml", "application/x-ndjson"])
def test_media_type__other__is_unsupported(client: Client, content_type: str):
    assert sent(client, b"<a/>", content_type) == (
        415,
        error("unsupported_media_type", f'Unsupported media type "{content_type}" in request.', type="invalid_request"),
    )


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json;x=y"]
)
def test_media_type__json_with_parameters__is_json(client: Client, content_type: str):
    assert sent(client, '{"first_name": "Zoë"}'.encode(), content_type)[1]["first_name"] == "Zoë"


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "nonsense"])
def test_charset__other__is_still_read_as_utf_8(client: Client, charset: str):
    status, content = sent(client, '{"first_name": "Zoë"}'.encode(), f"application/json; charset={charset}")

    assert (status, content["first_name"]) == (200, "Zoë")

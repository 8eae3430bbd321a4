"""Decoding of what client libraries send."""

import base64
import gzip
import json
from contextlib import suppress
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from common import lz_string, sdk_requests

LIMIT = 1000
VALUE = {"event": "bought", "distinct_id": "ada?>"}
TEXT = json.dumps(VALUE).encode()
FORM = "application/x-www-form-urlencoded"
# Compressed by the reference implementation.
LZ64 = {
    "hello": "BYUwNmD2Q===",
    '{"event":"a","distinct_id":"b"}': "N4IgpgbmB2AuIC4QEMQBoQBMCWBnW20AxrAPraaIgBGIAvkA",
    "ü€": "D+GoIg==",
    "a" * 27: "IY18RQ==",
    "": "Q===",
}


def post(body: bytes, query: str = "", content_type: str = "application/json", **headers: str) -> HttpRequest:
    return RequestFactory().post(f"/e/{query}", data=body, content_type=content_type, headers=headers)


def payload(request: HttpRequest, *, lz64: bool = True) -> Any:
    return sdk_requests.payload(request, limit=LIMIT, lz64=lz64)


def in_base64(text: bytes) -> bytes:
    return base64.b64encode(text)


@pytest.mark.parametrize(
    "request_",
    [
        post(TEXT),
        post(TEXT, content_type="text/plain"),
        post(gzip.compress(TEXT)),
        post(gzip.compress(TEXT), "?compression=gzip"),
        post(gzip.compress(TEXT), "?compression=gzip-js", content_type="text/plain"),
        post(gzip.compress(TEXT), **{"Content-Encoding": "gzip"}),
        post(gzip.compress(TEXT[:9]) + gzip.compress(TEXT[9:])),
        post(in_base64(TEXT)),
        post(in_base64(TEXT), "?compression=base64"),
        post(in_base64(TEXT).rstrip(b"=")),
        post(base64.urlsafe_b64encode(TEXT)),
        post(f"data={quote_plus(in_base64(TEXT).decode())}".encode(), content_type=FORM),
        post(b"data=" + in_base64(TEXT), content_type=FORM),
        post(b"ver=1&data=" + in_base64(TEXT), "?compression=base64", content_type=FORM),
        post(b"data=" + in_base64(TEXT), content_type="text/plain"),
        post(f"data={quote_plus(TEXT.decode())}".encode(), content_type=FORM),
        post(TEXT, content_type=FORM),
        post(in_base64(TEXT), content_type=FORM),
        RequestFactory().get(f"/e/?data={quote(in_base64(TEXT).decode())}"),
        RequestFactory().get(f"/e/?data={in_base64(TEXT).decode()}"),
    ],
)
def test_payload__every_packing__gives_the_same_value(request_: HttpRequest):
    assert payload(request_) == VALUE


def test_payload__json_called_a_form__may_hold_what_looks_like_a_field():
    assert payload(post(b'{"url": "/?a=1&data=2"}', content_type=FORM)) == {"url": "/?a=1&data=2"}


def test_payload__lz64__where_it_is_offered():
    packed = LZ64['{"event":"a","distinct_id":"b"}'].encode()
    expected = {"event": "a", "distinct_id": "b"}

    assert payload(post(packed, "?compression=lz64")) == expected
    form = post(f"data={quote_plus(packed.decode())}".encode(), "?compression=lz64", content_type=FORM)
    assert payload(form) == expected
    with pytest.raises(sdk_requests.UnsupportedCompression):
        payload(post(packed, "?compression=lz64"), lz64=False)


@pytest.mark.parametrize(
    "request_", [post(b""), post(b" \n"), RequestFactory().get("/e/"), post(b"", content_type=FORM)]
)
def test_payload__nothing_sent__is_none(request_: HttpRequest):
    assert payload(request_) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a": NaN, "b": [Infinity, -Infinity, 1e999, 1.5]}', {"a": None, "b": [None, None, None, 1.5]}),
        (b'{"a": [1, 2, ], }', {"a": [1, 2]}),
        (b'{"a": ",]", "b": "\\",}",}', {"a": ",]", "b": '",}'}),
        (b'{"a": "\xff"}', {"a": "\ufffd"}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\N{GRINNING FACE}"}),
        (b'{"a": "\\u0000"}', {"a": "\x00"}),
        (b"[]", []),
        (b'"text"', "text"),
    ],
)
def test_payload__lenient_json(text: bytes, value: Any):
    assert payload(post(text)) == value


def test_payload__half_a_character__can_be_stored():
    json.dumps(payload(post(b'{"a": "\\ud800x"}')), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "request_",
    [
        post(b"{"),
        post(b"not json"),
        post(b"[" * 900),
        post(b"\x1f\x8b"),
        post(gzip.compress(TEXT)[:-4]),
        post(TEXT, "?compression=gzip"),
        post(TEXT, **{"Content-Encoding": "gzip"}),
        post(b"data=" + in_base64(gzip.compress(TEXT)), content_type=FORM),
        post(b"data=%00", content_type=FORM),
        post(b"ver=1", content_type=FORM),
        post(TEXT, "?compression=lz64"),
        post(TEXT, "?compression=zstd"),
    ],
)
def test_payload__undecodable__says_so(request_: HttpRequest):
    with pytest.raises(sdk_requests.UnreadableRequest):
        payload(request_)


@pytest.mark.parametrize(
    "request_",
    [
        post(b'"' + b"a" * LIMIT + b'"'),
        post(gzip.compress(b'"' + b"a" * 10_000_000 + b'"')),
        post(b"".join(gzip.compress(b" " * 300) for _ in range(4))),
        post(in_base64(b'["' + b"a" * LIMIT + b'"]')),
    ],
)
def test_payload__larger_than_the_limit__is_too_large(request_: HttpRequest):
    with pytest.raises(sdk_requests.PayloadTooLarge):
        payload(request_)


@given(
    body=st.one_of(st.binary(max_size=200), st.text(alphabet='{}[]",:\\ud800 1eN\x00é', max_size=60).map(str.encode)),
    prefix=st.sampled_from([b"", b"\x1f\x8b\x08", b"data=", b"{", b'["']),
    query=st.sampled_from(["", "?compression=gzip", "?compression=base64", "?compression=lz64", "?compression=x"]),
    content_type=st.sampled_from(["application/json", "text/plain", FORM]),
)
def test_payload__any_bytes__give_a_storable_value_or_a_refusal(
    body: bytes, prefix: bytes, query: str, content_type: str
):
    try:
        value = payload(post(prefix + body, query, content_type))
    except (sdk_requests.UnreadableRequest, sdk_requests.PayloadTooLarge):
        return
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def test_payload__string_without_an_end__is_refused_at_once():
    with pytest.raises(sdk_requests.NotJSON):
        sdk_requests.loads(b'["' + rb"\"" * 500_000, limit=2_000_000)


def test_without_nul__removes_it_from_keys_and_texts():
    assert sdk_requests.without_nul({"a\x00": ["\x00", 1, {"b": "c\x00d"}]}) == {"a": ["", 1, {"b": "cd"}]}


@pytest.mark.parametrize(("text", "packed"), LZ64.items())
def test_lz_string__reference_texts(text: str, packed: str):
    assert lz_string.decompress_base64(packed, limit=100) == text


def test_lz_string__stops_at_the_limit():
    with pytest.raises(lz_string.TooLong):
        lz_string.decompress_base64(LZ64["a" * 27], limit=20)


@given(st.text(alphabet="ABQIY18R+/=", max_size=60))
def test_lz_string__any_text__is_read_or_refused(packed: str):
    with suppress(ValueError):
        assert len(lz_string.decompress_base64(packed, limit=500)) <= 500


def test_allow_origin__mirrors_origin_and_headers():
    request = RequestFactory().options(
        "/e/", headers={"Origin": "https://shop.example", "Access-Control-Request-Headers": "content-type,x-own"}
    )
    response = HttpResponse()
    sdk_requests.allow_origin(request, response)

    assert response["Access-Control-Allow-Origin"] == "https://shop.example"
    assert response["Access-Control-Allow-Headers"] == "content-type,x-own"
    assert response["Access-Control-Allow-Credentials"] == "true"
    assert response["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS, HEAD"
    assert response["Vary"] == "Origin"


def test_allow_origin__no_origin__adds_nothing():
    response = HttpResponse()
    sdk_requests.allow_origin(RequestFactory().get("/e/"), response)

    assert "Access-Control-Allow-Origin" not in response


@pytest.mark.parametrize(
    "query", ["", "v=2", "v=2&v=3", "v=%C3%BC&config", "v=ü", "data=a+b%2B", "%00=%FF&;=x", "v=" + "x" * 500]
)
def test_query__is_that_of_the_request(query: str) -> None:
    request = post(b"", f"?{query}")
    assert sdk_requests.query(request) == sdk_requests.query(request) == request.GET.dict()


def test_query__cannot_be_changed_for_the_next_request() -> None:
    with pytest.raises(TypeError):
        sdk_requests.query(post(b"", "?v=2"))["v"] = "3"  # type: ignore[index]  # that it cannot be is what is tested

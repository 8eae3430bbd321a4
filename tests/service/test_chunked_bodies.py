"""Bodies without a length in advance, as streaming HTTP clients send them."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import httpx
import pytest

from experiments_service.chunked_bodies import announce_length
from tests.live_service import LiveService


def patched(service: LiveService, chunks: Iterator[bytes]) -> httpx.Response:
    headers = service.headers | {"Content-Type": "application/json"}
    return httpx.patch(f"{service.base_url}/api/users/@me/", content=chunks, headers=headers, timeout=60)


def test_running_service__body_in_chunks__is_read_whole(service: LiveService) -> None:
    answer = patched(service, iter([b'{"first_', b'name": "A', b'da"}']))

    assert answer.request.headers["Transfer-Encoding"] == "chunked"
    assert (answer.status_code, answer.json()["first_name"]) == (200, "Ada")


def test_running_service__chunks_beyond_the_limit__are_refused(service: LiveService) -> None:
    answer = patched(service, (b" " * 1_048_576 for _ in range(21)))

    assert (answer.status_code, answer.json()["code"]) == (413, "request_too_large")


def environ(body: bytes, **headers: str) -> dict[str, Any]:
    return {"wsgi.input": BytesIO(body), **headers}


def test_announce__chunked__gives_the_length_and_the_same_bytes() -> None:
    asked = environ(b"12345", HTTP_TRANSFER_ENCODING="Chunked")

    announce_length(asked, limit=5)

    assert (asked["CONTENT_LENGTH"], asked["wsgi.input"].read()) == ("5", b"12345")


def test_announce__chunked_beyond_the_limit__reads_one_byte_too_many_at_most() -> None:
    stream = BytesIO(b"1234567890")

    announce_length({"wsgi.input": stream, "HTTP_TRANSFER_ENCODING": "chunked"}, limit=5)

    assert stream.tell() == 6


@pytest.mark.parametrize("headers", [{}, {"CONTENT_LENGTH": "3"}])
def test_announce__not_chunked__leaves_the_request_alone(headers: dict[str, str]) -> None:
    asked = environ(b"123", **headers)
    before = dict(asked)

    announce_length(asked, limit=5)

    assert asked == before
    assert asked["wsgi.input"].tell() == 0

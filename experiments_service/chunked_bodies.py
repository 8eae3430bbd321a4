"""Request bodies sent in chunks, without their length in advance."""

from io import BytesIO
from typing import Any


def announce_length(environ: dict[str, Any], *, limit: int) -> None:
    """Give a body sent in chunks the length that Django reads it by; without one it takes any body for empty.

    Of a body longer than `limit` no more than one byte too many is read: the view refuses it by its length.
    """
    # The server has taken the chunks apart; a header of both kinds it does not let through.
    if "chunked" not in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        return
    body = environ["wsgi.input"].read(limit + 1)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ["wsgi.input"] = BytesIO(body)

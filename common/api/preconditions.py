"""ETag and If-Match."""

import hashlib

from common.errors import PreconditionFailed


def etag_of(content: bytes) -> str:
    """A strong entity tag of the bytes of a representation."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _tags(header: str) -> list[str]:
    return [tag.strip() for tag in header.split(",")]


def check_if_match(header: str | None, current: str) -> None:
    """Raise PreconditionFailed unless `header` is absent, `*`, or lists the current strong tag."""
    if header is None or header.strip() == "*":
        return
    if current not in _tags(header):
        raise PreconditionFailed

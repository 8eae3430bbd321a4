"""Where an id stands in a rollout: the same text always hashes to the same share of the way from 0 to 1."""

from collections.abc import Iterable, Sequence
from hashlib import sha1
from itertools import accumulate
from struct import Struct

# The first 15 hexadecimal digits of a digest, and their greatest value as a binary64.
_DIGITS = 15
_FIRST_EIGHT_BYTES = Struct(">Q").unpack_from
_SCALE = float(16**_DIGITS - 1)

MAX_ID_LENGTH = 200


def share(text: str) -> float:
    """The hash of a text, 0 to 1. Both operands become binary64 before the division, as in every client."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError:  # half of a character has no UTF-8; anything stable will do
        encoded = text.encode("utf-8", "replace")
    digest = sha1(encoded, usedforsecurity=False).digest()
    return float(_FIRST_EIGHT_BYTES(digest)[0] >> 4) / _SCALE


def in_rollout(text: str, fraction: float) -> bool:
    """Whether the text hashes into the first `fraction`, its end included."""
    return share(text) <= fraction


def boundaries(weights: Iterable[float]) -> tuple[float, ...]:
    """Where each variant ends: the running sum of the weights' hundredths, unrounded."""
    return tuple(accumulate(weight / 100 for weight in weights))


def pick(position: float, ends: Sequence[float]) -> int | None:
    """The first variant that ends behind the position; None when the weights do not reach it."""
    for index, end in enumerate(ends):
        if position < end:
            return index
    return None

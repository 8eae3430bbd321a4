"""Where an id stands in a rollout: the same text always hashes to the same share of the way from 0 to 1.

Shares are what the rules speak of; what is compared are the digests they are made from. A share grows with its digest,
so each percentage has one `Bound`, found when a flag is compiled: digests below it are in, all others are out. That
decides as the shares do, to the last bit, and without arithmetic.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from hashlib import sha1
from itertools import accumulate
from typing import Any

# The first 15 hexadecimal digits of a digest count.
_NUMBERS = range(16**15)
_SCALE = float(_NUMBERS[-1])
_BEYOND_ALL = b"\xff" * 21

MAX_ID_LENGTH = 200

# The beginning of every rollout: the digest with the share 0.0.
START = bytes(20)

Bound = bytes
# What `sha1` returns; hashlib gives it no name.
Hash = Any


def encoded(text: str) -> bytes:
    """UTF-8. Half of a character has none; anything stable will do."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def digest(text: bytes) -> bytes:
    """What is compared with a Bound."""
    return sha1(text, usedforsecurity=False).digest()


def begun(text: bytes) -> Hash:
    """The hash of all that begins with `text`. To copy it and add the rest takes less time than to begin anew."""
    return sha1(text, usedforsecurity=False)


def share(text: str) -> float:
    """The hash of a text, 0 to 1."""
    return _share(int.from_bytes(digest(encoded(text))[:8]) >> 4)


def _share(number: int) -> float:
    """Both operands become binary64 before the division, as in every client."""
    return float(number) / _SCALE


def up_to(fraction: float) -> Bound:
    """The bound of the digests whose share is at most `fraction`."""
    return _bound(bisect_right(_NUMBERS, fraction, key=_share))


def below(fraction: float) -> Bound:
    """The bound of the digests whose share is less than `fraction`."""
    return _bound(bisect_left(_NUMBERS, fraction, key=_share))


def _bound(number: int) -> Bound:
    """Below it are the digests that begin with a smaller number."""
    return _BEYOND_ALL if number == len(_NUMBERS) else (number << 4).to_bytes(8)


def boundaries(weights: Iterable[float]) -> tuple[float, ...]:
    """Where each variant ends: the running sum of the weights' hundredths, unrounded."""
    return tuple(accumulate(weight / 100 for weight in weights))


def ends(weights: Iterable[float]) -> tuple[Bound, ...]:
    """The bounds of variants with these weights, none before its predecessor: that of a digest is the first above it,
    at `bisect_right`; behind the last are those whom the weights do not reach."""
    return tuple(accumulate(map(below, boundaries(weights)), max))

"""Semantic versions, read leniently and ordered strictly. Pure."""

import re
from typing import Any, NamedTuple

_FORM = re.compile(
    r"(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:\.\d+)*"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]*)?",
    re.ASCII,
)
_WILDCARD = re.compile(r"(\d+)(?:\.(\d+))?\.\*", re.ASCII)
# Longer texts are no versions; integers are read digit by digit.
_MAX_LENGTH = 200


class _Part(NamedTuple):
    """One identifier of a pre-release; numbers come before words."""

    is_word: bool
    number: int
    word: str


class Version(NamedTuple):
    """A version; tuples compare as semantic versions are ordered, `1.2.3-beta` before `1.2.3`."""

    major: int
    minor: int
    patch: int
    is_release: bool = True
    pre_release: tuple[_Part, ...] = ()


def _stripped(value: Any) -> str | None:
    if not isinstance(value, str) or len(value) > _MAX_LENGTH:
        return None
    return value.strip().removeprefix("v").strip()


def parse_version(value: Any) -> Version | None:
    """`v1.2.3-beta.4+build`: a leading `v`, blanks and leading zeros are dropped, missing parts are 0, parts beyond
    the third and the build are ignored. None for anything else."""
    text = _stripped(value)
    found = None if text is None else _FORM.fullmatch(text)
    if found is None:
        return None
    major, minor, patch = (int(digits or 0) for digits in found.group(1, 2, 3))
    if found[4] is None:
        return Version(major, minor, patch)
    parts = tuple(
        _Part(False, int(part), "") if part.isdigit() else _Part(True, 0, part) for part in found[4].split(".")
    )
    return Version(major, minor, patch, False, parts)


class VersionRange(NamedTuple):
    """The versions from `lower` up to, not including, `upper`."""

    lower: Version
    upper: Version


def tilde_range(value: Any) -> VersionRange | None:
    """The versions with the same minor part, from this one on."""
    version = parse_version(value)
    return None if version is None else VersionRange(version, Version(version.major, version.minor + 1, 0))


def caret_range(value: Any) -> VersionRange | None:
    """The versions that leave the first part other than 0 as it is, from this one on."""
    version = parse_version(value)
    if version is None:
        return None
    if version.major:
        return VersionRange(version, Version(version.major + 1, 0, 0))
    if version.minor:
        return VersionRange(version, Version(0, version.minor + 1, 0))
    return VersionRange(version, Version(0, 0, version.patch + 1))


def wildcard_range(value: Any) -> VersionRange | None:
    """`1.*` or `1.2.*`: the versions that begin like this."""
    text = _stripped(value)
    found = None if text is None else _WILDCARD.fullmatch(text)
    if found is None:
        return None
    major, minor = int(found[1]), found[2]
    if minor is None:
        return VersionRange(Version(major, 0, 0), Version(major + 1, 0, 0))
    return VersionRange(Version(major, int(minor), 0), Version(major, int(minor) + 1, 0))

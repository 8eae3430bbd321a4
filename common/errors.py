"""The refusals that domain code may raise.

    DomainError
    ├── Invalid              400  a value or a state breaks a rule; `attr` names the field or is None
    │   └── InvalidState     400  the act is not possible in the present state (attr is always None)
    ├── Denied               403  the caller may not do this
    ├── Missing              404  what the request names does not exist for this caller
    ├── Conflict             409  somebody else changed it first
    ├── PreconditionFailed   412  If-Match named another version
    └── QueryTimeout         504  reading takes longer than it may

Which HTTP status each becomes is decided in one place, `common.api.errors`.
"""

from collections.abc import Mapping
from typing import Any


class DomainError(Exception):
    """A refusal with a name: a machine-readable `code`, a sentence, and the field it concerns.

    `extra` holds further keys of the answer's body, for the few errors that document them.
    """

    default_code = "invalid_input"
    default_detail = "Invalid input."

    def __init__(
        self,
        detail: str | None = None,
        *,
        code: str | None = None,
        attr: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.detail = self.default_detail if detail is None else detail
        self.code = self.default_code if code is None else code
        self.attr = attr
        self.extra = dict(extra or {})
        super().__init__(self.detail)


class Invalid(DomainError):
    """A sent value, alone or together with others, breaks a rule."""


class InvalidState(Invalid):
    """The act is fine in itself but not in the present state."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)


class Denied(DomainError):
    """The caller is known and may not do this."""

    default_code = "permission_denied"
    default_detail = "You do not have permission to perform this action."


class Missing(DomainError):
    """The named object does not exist, or not for this caller."""

    default_code = "not_found"
    default_detail = "Not found."


class Conflict(DomainError):
    """A concurrent change makes this one impossible."""

    default_code = "conflict"


class PreconditionFailed(DomainError):
    """The caller's If-Match does not name the present version."""

    default_code = "precondition_failed"
    default_detail = "The experiment was changed since you read it. Fetch it again and retry."


class QueryTimeout(DomainError):
    """What was asked for takes longer than it may; `seconds` is the limit."""

    default_code = "query_timeout"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The query exceeded the time limit of {seconds:g} seconds.")

"""What keys may be allowed to do. Pure."""

from collections.abc import Sequence

ALL = "*"
SCOPE_OBJECTS = (
    "action",
    "activity_log",
    "approvals",
    "cohort",
    "event_definition",
    "experiment",
    "experiment_holdout",
    "experiment_saved_metric",
    "feature_flag",
    "group",
    "organization",
    "organization_member",
    "person",
    "project",
    "query",
    "user",
)
SCOPES = frozenset(f"{name}:{level}" for name in SCOPE_OBJECTS for level in ("read", "write"))
# What a project secret key may be given.
SECRET_KEY_SCOPES = ("experiment:read", "feature_flag:read")


def has_scope(granted: Sequence[str], wanted: str) -> bool:
    """Whether the scopes of a key include `wanted`; `*` includes all, write includes read."""
    name, _, level = wanted.partition(":")
    return ALL in granted or wanted in granted or (level == "read" and f"{name}:write" in granted)

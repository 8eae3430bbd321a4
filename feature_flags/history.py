"""What the activity log keeps of a flag."""

from typing import Any

from activity import recorder
from activity.recorder import Trigger
from feature_flags import encryption
from feature_flags.models import FeatureFlag
from projects.models import User

SCOPE = "FeatureFlag"
FIELDS = (
    "key",
    "name",
    "filters",
    "active",
    "archived",
    "deleted",
    "ensure_experience_continuity",
    "bucketing_identifier",
    "evaluation_runtime",
    "evaluation_contexts",
    "tags",
    "is_remote_configuration",
    "has_encrypted_payloads",
    "folder",
    "version",
)


def snapshot(flag: FeatureFlag) -> dict[str, Any]:
    """The fields that the log compares; an encrypted payload only as its marker."""
    fields = {name: getattr(flag, name) for name in FIELDS}
    if flag.has_encrypted_payloads:
        fields["filters"] = encryption.redacted(flag.filters)
    return fields


def record(
    *,
    flag: FeatureFlag,
    user: User | None,
    activity: str,
    before: dict[str, Any] | None,
    trigger: Trigger | None,
) -> None:
    """Write the row of a change just made."""
    changes = recorder.changes_between(scope=SCOPE, before=before, after=snapshot(flag), fields=FIELDS)
    recorder.record(
        project=flag.project,
        user=user,
        scope=SCOPE,
        item_id=flag.pk,
        activity=activity,
        name=flag.plain_key,
        changes=changes,
        trigger=trigger,
    )

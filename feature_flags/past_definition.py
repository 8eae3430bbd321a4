"""A flag as it was: the present one, with every change since taken back."""

from datetime import datetime
from typing import Any

from activity.queries import of_items
from common.documents import same_document
from common.errors import Invalid
from feature_flags import history
from feature_flags.models import FeatureFlag


def fields_at(flag: FeatureFlag, moment: datetime) -> dict[str, Any]:
    """The logged fields of the flag as they were at `moment`.

    Raises Invalid when the log does not lead back there: before the flag was made, or past a change made behind it.
    """
    fields = history.snapshot(flag)
    if moment < flag.created_at:
        raise _impossible(moment)
    changes = of_items(project=flag.project, items=[(history.SCOPE, flag.pk)]).filter(created_at__gt=moment)
    for entry in changes.order_by("-created_at", "-pk"):
        if entry.activity == "created":
            raise _impossible(moment)
        for change in entry.detail["changes"]:
            name = change["field"]
            if name not in fields:
                continue
            if not same_document(fields[name], change["after"]):
                raise _impossible(moment)
            fields[name] = change["before"]
    return fields


def _impossible(moment: datetime) -> Invalid:
    return Invalid(f"The flag as it was at {moment.isoformat()} cannot be rebuilt from its history.", attr="timestamp")

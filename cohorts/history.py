"""What the activity log keeps of a cohort."""

from collections.abc import Mapping
from typing import Any

from activity import recorder
from activity.models import Activity, Scope
from cohorts.models import Cohort
from projects.models import User

FIELDS = ("name", "description", "deleted", "is_static", "filters", "folder")


def snapshot(cohort: Cohort) -> dict[str, Any]:
    """The fields that the log compares."""
    return {name: getattr(cohort, name) for name in FIELDS}


def record(cohort: Cohort, *, user: User, activity: Activity, before: Mapping[str, Any] | None) -> None:
    """Write the row of a change just made."""
    recorder.record(
        project=cohort.project,
        user=user,
        scope=Scope.COHORT,
        item_id=cohort.pk,
        activity=activity,
        name=cohort.name,
        changes=recorder.changes_between(scope=Scope.COHORT, before=before, after=snapshot(cohort), fields=FIELDS),
    )

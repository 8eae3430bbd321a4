"""The FeatureFlag as clients read it.

Built from plain rows: stored filters are spliced in as their own text and parsed only where something must be added
or hidden. A list costs four queries whatever its length: rows, linked experiments, names of cohorts, last calls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, F, Func, QuerySet, TextField
from django.db.models.expressions import Combinable
from django.utils import timezone

from cohorts.models import Cohort
from common import documents
from common.documents import as_text, fragment
from common.errors import Missing
from feature_flags import usage
from feature_flags.api.minimal import shown_filters
from feature_flags.eligibility import eligible
from feature_flags.last_calls import last_calls
from feature_flags.models import FeatureFlag
from feature_flags.rollout_state import explain, fully_rolled_out, rollout_of, status
from feature_flags.validation.cohorts import cohort_references
from feature_flags.validation.properties import cohort_id
from projects.api.user_basic import user_basic_columns, user_basic_of_row
from projects.models import Project

_PLAIN = (
    "id",
    "created_at",
    "updated_at",
    "key",
    "name",
    "active",
    "archived",
    "deleted",
    "version",
    "ensure_experience_continuity",
    "bucketing_identifier",
    "evaluation_runtime",
    "evaluation_contexts",
    "tags",
    "is_remote_configuration",
    "has_encrypted_payloads",
    "folder",
    "project_id",
)


class _OnlyRollout(Func):
    """The rollout percentage of the only group as JSON text; NULL with several groups or none."""

    template = (
        "(CASE WHEN json_array_length(%(expressions)s -> 'groups') = 1"
        " THEN (%(expressions)s #> '{groups,0,rollout_percentage}')::text END)"
    )
    output_field = TextField()


def _columns() -> dict[str, Combinable]:
    columns: dict[str, Combinable] = {
        "text_filters": as_text("filters"),
        "text_rollout": _OnlyRollout(F("filters")),
        "eligible": ExpressionWrapper(eligible(), output_field=BooleanField()),
        "full_rollout": ExpressionWrapper(fully_rolled_out(), output_field=BooleanField()),
    }
    return columns | user_basic_columns("created_by") | user_basic_columns("last_modified_by")


Row = Mapping[str, Any]


def rows(queryset: QuerySet[FeatureFlag]) -> QuerySet[FeatureFlag, dict[str, Any]]:
    """`queryset` selecting, in its order, the rows that `from_rows` reads; it may still be sliced."""
    columns = _columns()
    selected: QuerySet[FeatureFlag, dict[str, Any]] = queryset.annotate(**columns).values(*_PLAIN, *columns)
    return selected


def from_rows(
    selected: Sequence[Row], *, user_access_level: str | None, in_clear: bool = False
) -> list[dict[str, Any]]:
    """The FeatureFlags of selected rows of one project; encrypted payloads readable only `in_clear`."""
    experiments = usage.linked([row["id"] for row in selected])
    filters = _filters(selected, in_clear=in_clear)
    calls = _calls(selected)
    return [
        _flag(row, filters[row["id"]], experiments.get(row["id"], ()), calls.get(row["id"]), user_access_level)
        for row in selected
    ]


def _calls(selected: Sequence[Row]) -> Mapping[int, datetime]:
    flags = [(row["id"], row["key"]) for row in selected]
    return last_calls(flags, project_id=selected[0]["project_id"]) if flags else {}


def row_of(*, project: Project, flag_id: int) -> dict[str, Any]:
    """The row of one flag, deleted ones included. Raises Missing."""
    row = rows(FeatureFlag.objects.filter(project=project, pk=flag_id)).first()
    if row is None:
        raise Missing
    return row


def one(*, project: Project, flag_id: int, user_access_level: str | None, in_clear: bool = False) -> dict[str, Any]:
    """One FeatureFlag, deleted ones included. Raises Missing."""
    row = row_of(project=project, flag_id=flag_id)
    return from_rows([row], user_access_level=user_access_level, in_clear=in_clear)[0]


def status_of(row: Row) -> dict[str, Any]:
    """The status of a flag with its reason and its rollout."""
    rollout = rollout_of(documents.loads(row["text_filters"]), effectively_full=row["full_rollout"])
    called = _calls([row]).get(row["id"])
    name = status(row, last_called_at=called, now=timezone.now())
    explanation = explain(name, active=row["active"], rollout=rollout, was_called=called is not None)
    return {
        "status": name.lower(),
        "reason": explanation.reason,
        "reason_states_rollout": explanation.states_rollout,
        "rollout": asdict(rollout),
    }


def _filters(selected: Sequence[Row], *, in_clear: bool) -> dict[int, Any]:
    """What each flag shows as its filters: cohort conditions carry the present name of their cohort."""
    shown: dict[int, Any] = {}
    with_cohorts: dict[int, dict[str, Any]] = {}
    for row in selected:
        document = shown_filters(row["text_filters"], encrypted=row["has_encrypted_payloads"], in_clear=in_clear)
        if '"cohort"' in row["text_filters"]:
            document = document if isinstance(document, dict) else documents.loads(row["text_filters"])
            with_cohorts[row["id"]] = document
        shown[row["id"]] = document
    references = set[int]().union(*(cohort_references(document) for document in with_cohorts.values()))
    if references:
        of_project = Cohort.objects.filter(pk__in=references, project_id=selected[0]["project_id"])
        names = dict(of_project.values_list("pk", "name"))
        for document in with_cohorts.values():
            _name_cohorts(document, names)
    return shown


def _name_cohorts(filters: dict[str, Any], names: Mapping[int, str]) -> None:
    for group in filters.get("groups", []):
        for condition in group.get("properties", []):
            if condition["type"] == "cohort":
                number = cohort_id(condition["value"])
                condition["cohort_name"] = None if number is None else names.get(number)


def _flag(
    row: Row,
    filters: Any,
    experiments: Sequence[usage.LinkedExperiment],
    last_called_at: datetime | None,
    user_access_level: str | None,
) -> dict[str, Any]:
    live = [experiment for experiment in experiments if not experiment.deleted]
    return {
        "id": row["id"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "created_by": user_basic_of_row(row, "created_by"),
        "last_modified_by": user_basic_of_row(row, "last_modified_by"),
        "key": row["key"],
        "name": row["name"],
        "filters": filters,
        "active": row["active"],
        "archived": row["archived"],
        "deleted": row["deleted"],
        "version": row["version"],
        "ensure_experience_continuity": row["ensure_experience_continuity"],
        "bucketing_identifier": row["bucketing_identifier"],
        "evaluation_runtime": row["evaluation_runtime"],
        "evaluation_contexts": row["evaluation_contexts"],
        "tags": row["tags"],
        "is_remote_configuration": row["is_remote_configuration"],
        "has_encrypted_payloads": row["has_encrypted_payloads"],
        "experiment_set": [experiment.id for experiment in live],
        "experiment_set_metadata": [
            {"id": experiment.id, "name": experiment.name, "is_running": experiment.is_running} for experiment in live
        ],
        "status": status(row, last_called_at=last_called_at, now=timezone.now()),
        "last_called_at": last_called_at,
        "is_eligible_for_experiment": row["eligible"],
        "can_edit": True,
        "user_access_level": user_access_level,
        "rollout_percentage": fragment(row["text_rollout"]),
        "folder": row["folder"],
        "surveys": [],
        "features": [],
        "analytics_dashboards": [],
        "usage_dashboard": None,
        "has_enriched_analytics": None,
        "is_used_in_replay_settings": False,
    }

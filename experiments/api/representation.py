"""The Experiment as clients read it.

Built from plain rows: stored documents are spliced in as their own text, never parsed. A list costs at most four
queries whatever its length; what must be computed (the read form of parameters, fingerprints) was computed at write
time.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from django.db.models import QuerySet
from django.db.models.expressions import Combinable

from common.api.preconditions import etag_of
from common.api.rendering import to_json
from common.compiled import TOTAL, CompiledList
from common.documents import as_text, fragment
from common.errors import Missing
from common.timestamps import TimestampText
from events.models import Action
from experiments import metrics
from experiments.api.related import Related, Row, related_to
from experiments.models import Experiment, ExperimentStatus
from feature_flags.api.minimal import minimal_flag_columns, minimal_flag_of_row
from projects.models import Project

_PLAIN = (
    "id",
    "name",
    "description",
    "holdout_id",
    "created_by_id",
    "exposure_cohort_id",
    "excluded_variants",
    "archived",
    "deleted",
    "type",
    "folder",
    "conclusion",
    "conclusion_comment",
    "exposure_preaggregation_enabled",
    "only_count_matured_users",
    "status",
)
_TIMES = ("start_date", "end_date", "created_at", "updated_at")
_DOCUMENTS = (
    "shown_parameters",
    "running_time_calculation",
    "secondary_metrics",
    "filters",
    "exposure_criteria",
    "metrics",
    "metrics_secondary",
    "stats_config",
    "scheduling_config",
    "primary_metrics_ordered_uuids",
    "secondary_metrics_ordered_uuids",
)


def _columns() -> dict[str, Combinable]:
    """Annotations, since a stored document may only be selected as text under a name of its own."""
    columns: dict[str, Combinable] = {f"text_{name}": as_text(name) for name in _DOCUMENTS}
    columns |= minimal_flag_columns("feature_flag")
    columns |= {f"text_{name}": TimestampText(name) for name in _TIMES}
    return columns


def _queryset() -> QuerySet[Experiment, dict[str, Any]]:
    columns = _columns()
    selected: QuerySet[Experiment, dict[str, Any]] = Experiment.objects.annotate(**columns).values(*_PLAIN, *columns)
    return selected


_ROWS = CompiledList(_queryset)


def listed(
    selected: QuerySet[Experiment], *, limit: int, offset: int, user_access_level: str | None
) -> tuple[list[dict[str, Any]], int]:
    """The Experiments at these places of `selected`, and how many it has in all."""
    rows = _ROWS.rows(selected[offset : offset + limit])
    if rows:
        return _from_rows(rows, user_access_level), rows[0][TOTAL]
    return [], selected.count() if offset else 0


def _from_rows(rows: Sequence[Row], user_access_level: str | None) -> list[dict[str, Any]]:
    related = related_to(rows)
    return [_experiment(row, related, user_access_level) for row in rows]


def one(
    *, project: Project, experiment_id: int, user_access_level: str | None, deleted: bool | None = False
) -> dict[str, Any]:
    """One Experiment, with the present names of its metrics' actions. `deleted` None finds deleted ones too.

    Raises Missing when the project has no such experiment.
    """
    selected = Experiment.objects.filter(project=project, pk=experiment_id)
    if deleted is not None:
        selected = selected.filter(deleted=deleted)
    found = _from_rows(_ROWS.rows(selected), user_access_level)
    if not found:
        raise Missing
    shown = found[0]
    _name_actions(project, shown)
    return shown


def etag(shown: Mapping[str, Any]) -> str:
    """The strong entity tag of an Experiment as built by `one`; the same for every caller."""
    return etag_of(to_json({name: value for name, value in shown.items() if name != "user_access_level"}))


def _status(row: Row) -> str:
    paused = row["status"] == ExperimentStatus.RUNNING and not row["flag_active"]
    return "paused" if paused else row["status"]


def _experiment(row: Row, related: Related, user_access_level: str | None) -> dict[str, Any]:
    flag = minimal_flag_of_row(row)
    links = related.links.get(row["id"], [])
    return {
        "id": row["id"],
        "name": row["name"],
        "description": row["description"],
        "start_date": row["text_start_date"],
        "end_date": row["text_end_date"],
        "feature_flag_key": flag["key"].removesuffix(f":deleted:{flag['id']}"),
        "feature_flag": flag,
        "holdout": related.holdouts.get(row["holdout_id"]),
        "holdout_id": row["holdout_id"],
        "exposure_cohort": row["exposure_cohort_id"],
        "parameters": fragment(row["text_shown_parameters"]),
        "running_time_calculation": fragment(row["text_running_time_calculation"]),
        "excluded_variants": row["excluded_variants"],
        "secondary_metrics": fragment(row["text_secondary_metrics"]),
        "saved_metrics": links,
        "saved_metrics_ids": [{"id": link["saved_metric"], "metadata": link["metadata"]} for link in links],
        "filters": fragment(row["text_filters"]),
        "archived": row["archived"],
        "deleted": row["deleted"],
        "created_by": related.users.get(row["created_by_id"]),
        "created_at": row["text_created_at"],
        "updated_at": row["text_updated_at"],
        "type": row["type"],
        "exposure_criteria": fragment(row["text_exposure_criteria"]),
        "metrics": fragment(row["text_metrics"]),
        "metrics_secondary": fragment(row["text_metrics_secondary"]),
        "stats_config": fragment(row["text_stats_config"]),
        "scheduling_config": fragment(row["text_scheduling_config"]),
        "folder": row["folder"],
        "conclusion": row["conclusion"],
        "conclusion_comment": row["conclusion_comment"],
        "primary_metrics_ordered_uuids": fragment(row["text_primary_metrics_ordered_uuids"]),
        "secondary_metrics_ordered_uuids": fragment(row["text_secondary_metrics_ordered_uuids"]),
        "exposure_preaggregation_enabled": row["exposure_preaggregation_enabled"],
        "only_count_matured_users": row["only_count_matured_users"],
        "status": _status(row),
        "user_access_level": user_access_level,
    }


def _name_actions(project: Project, shown: dict[str, Any]) -> None:
    """Give every ActionsNode the action's present name; costs nothing where there is no such node."""
    holders = [(shown, "metrics"), (shown, "metrics_secondary")]
    holders += [(link, "query") for link in shown["saved_metrics"]]
    parsed: list[tuple[dict[str, Any], str, Any]] = []
    for holder, name in holders:
        text = orjson.dumps(holder[name])
        if b'"ActionsNode"' in text:
            parsed.append((holder, name, json.loads(text)))
    if not parsed:
        return
    documents = [document if isinstance(document, list) else [document] for _, _, document in parsed]
    ids = {action_id for listed in documents for action_id in metrics.action_ids(listed)}
    names = dict(Action.objects.filter(project=project, pk__in=ids).values_list("pk", "name"))
    for holder, name, document in parsed:
        if isinstance(document, list):
            holder[name] = [metrics.with_action_names(metric, names) for metric in document]
        else:
            holder[name] = metrics.with_action_names(document, names)

"""The Experiment as clients read it.

Built from plain rows: stored documents are spliced in as their own text, never parsed. A list costs two queries
whatever its length; what must be computed (the read form of parameters, fingerprints) was computed at write time.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from django.db.models import F, QuerySet
from django.db.models.expressions import Combinable

from common.api.preconditions import etag_of
from common.api.rendering import to_json
from common.documents import as_text, fragment
from common.errors import Missing
from events.models import Action
from experiments import metrics
from experiments.models import Experiment, ExperimentStatus, ExperimentToSavedMetric
from feature_flags.api.minimal import minimal_flag_columns, minimal_flag_of_row
from projects.api.user_basic import user_basic_columns, user_basic_of_row
from projects.models import Project

_PLAIN = (
    "id",
    "name",
    "description",
    "start_date",
    "end_date",
    "exposure_cohort_id",
    "excluded_variants",
    "archived",
    "deleted",
    "created_at",
    "updated_at",
    "type",
    "folder",
    "conclusion",
    "conclusion_comment",
    "exposure_preaggregation_enabled",
    "only_count_matured_users",
    "status",
)
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
_HOLDOUT = ("id", "name", "description", "created_at", "updated_at")


def _columns() -> dict[str, Combinable]:
    """Annotations, since a stored document may only be selected as text under a name of its own."""
    columns: dict[str, Combinable] = {f"text_{name}": as_text(name) for name in _DOCUMENTS}
    columns |= {f"holdout_{name}_": F(f"holdout__{name}") for name in _HOLDOUT}
    columns["holdout_text_filters"] = as_text("holdout__filters")
    columns |= user_basic_columns("holdout__created_by")
    columns |= user_basic_columns("created_by")
    columns |= minimal_flag_columns("feature_flag")
    return columns


Row = Mapping[str, Any]


def rows(queryset: QuerySet[Experiment]) -> QuerySet[Experiment, dict[str, Any]]:
    """`queryset` selecting, in its order, the rows that `from_rows` reads; it may still be sliced."""
    columns = _columns()
    selected: QuerySet[Experiment, dict[str, Any]] = queryset.annotate(**columns).values(*_PLAIN, *columns)
    return selected


def from_rows(selected: Sequence[Row], *, user_access_level: str | None) -> list[dict[str, Any]]:
    """The Experiments of selected rows. One further query, for the saved metrics of all."""
    links = _links_by_experiment([row["id"] for row in selected])
    return [_experiment(row, links[row["id"]], user_access_level) for row in selected]


def one(
    *, project: Project, experiment_id: int, user_access_level: str | None, deleted: bool | None = False
) -> dict[str, Any]:
    """One Experiment, with the present names of its metrics' actions. `deleted` None finds deleted ones too.

    Raises Missing when the project has no such experiment.
    """
    queryset = Experiment.objects.filter(project=project, pk=experiment_id)
    if deleted is not None:
        queryset = queryset.filter(deleted=deleted)
    found = from_rows(list(rows(queryset)), user_access_level=user_access_level)
    if not found:
        raise Missing
    shown = found[0]
    _name_actions(project, shown)
    return shown


def etag(shown: Mapping[str, Any]) -> str:
    """The strong entity tag of an Experiment as built by `one`; the same for every caller."""
    return etag_of(to_json({name: value for name, value in shown.items() if name != "user_access_level"}))


def _links_by_experiment(experiment_ids: Iterable[int]) -> Mapping[int, list[dict[str, Any]]]:
    links: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    rows = (
        ExperimentToSavedMetric.objects.filter(experiment_id__in=experiment_ids)
        .order_by("id")
        .annotate(text_metadata=as_text("metadata"), text_query=as_text("query"), name=F("saved_metric__name"))
        .values_list("id", "experiment_id", "saved_metric_id", "text_metadata", "created_at", "name", "text_query")
    )
    for link_id, experiment_id, saved_metric_id, metadata, created_at, name, query in rows:
        links[experiment_id].append(
            {
                "id": link_id,
                "experiment": experiment_id,
                "saved_metric": saved_metric_id,
                "metadata": fragment(metadata),
                "created_at": created_at,
                "name": name,
                "query": fragment(query),
            }
        )
    return links


def _holdout(row: Row) -> dict[str, Any] | None:
    if row["holdout_id_"] is None:
        return None
    return {
        "id": row["holdout_id_"],
        "name": row["holdout_name_"],
        "description": row["holdout_description_"],
        "filters": fragment(row["holdout_text_filters"]),
        "created_by": user_basic_of_row(row, "holdout__created_by"),
        "created_at": row["holdout_created_at_"],
        "updated_at": row["holdout_updated_at_"],
    }


def _status(row: Row) -> str:
    paused = row["status"] == ExperimentStatus.RUNNING and not row["flag_active"]
    return "paused" if paused else row["status"]


def _experiment(row: Row, links: list[dict[str, Any]], user_access_level: str | None) -> dict[str, Any]:
    flag = minimal_flag_of_row(row)
    return {
        "id": row["id"],
        "name": row["name"],
        "description": row["description"],
        "start_date": row["start_date"],
        "end_date": row["end_date"],
        "feature_flag_key": flag["key"].removesuffix(f":deleted:{flag['id']}"),
        "feature_flag": flag,
        "holdout": _holdout(row),
        "holdout_id": row["holdout_id_"],
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
        "created_by": user_basic_of_row(row, "created_by"),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
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

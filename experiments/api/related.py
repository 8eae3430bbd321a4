"""What experiments show of other rows: saved metrics, holdouts and people. One query for each kind that occurs."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import BigIntegerField, F, QuerySet

from common.compiled import CompiledRows, IsOneOf, Slot
from common.documents import as_text, fragment
from common.timestamps import TimestampText
from experiments.api import holdouts
from experiments.models import ExperimentHoldout, ExperimentToSavedMetric
from projects.api.user_basic import user_basics

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Related:
    """The parts of experiments by the id that an experiment has of each; links by the experiment's own."""

    links: Mapping[int, list[dict[str, Any]]]
    holdouts: Mapping[int, dict[str, Any]]
    users: Mapping[int, dict[str, Any]]


def related_to(rows: Sequence[Row]) -> Related:
    """For rows with `id`, `holdout_id` and `created_by_id`."""
    return Related(
        links=_links([row["id"] for row in rows]),
        holdouts=_holdouts({row["holdout_id"] for row in rows} - {None}),
        users=user_basics({row["created_by_id"] for row in rows} - {None}),
    )


def _link_rows() -> QuerySet[ExperimentToSavedMetric, dict[str, Any]]:
    columns = {
        "text_metadata": as_text("metadata"),
        "text_query": as_text("query"),
        "text_created_at": TimestampText("created_at"),
        "name": F("saved_metric__name"),
    }
    chosen = ExperimentToSavedMetric.objects.filter(IsOneOf("experiment_id", Slot(BigIntegerField()))).order_by("id")
    selected: QuerySet[ExperimentToSavedMetric, dict[str, Any]] = chosen.annotate(**columns).values(
        "id", "experiment_id", "saved_metric_id", *columns
    )
    return selected


def _holdout_rows() -> QuerySet[ExperimentHoldout, dict[str, Any]]:
    return holdouts.rows(ExperimentHoldout.objects.filter(IsOneOf("id", Slot(BigIntegerField()))))


_LINKS = CompiledRows(_link_rows)
_HOLDOUTS = CompiledRows(_holdout_rows)


def _links(experiment_ids: list[int]) -> Mapping[int, list[dict[str, Any]]]:
    links: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in _LINKS.rows(experiment_ids) if experiment_ids else ():
        links[row["experiment_id"]].append(
            {
                "id": row["id"],
                "experiment": row["experiment_id"],
                "saved_metric": row["saved_metric_id"],
                "metadata": fragment(row["text_metadata"]),
                "created_at": row["text_created_at"],
                "name": row["name"],
                "query": fragment(row["text_query"]),
            }
        )
    return links


def _holdouts(holdout_ids: set[int]) -> Mapping[int, dict[str, Any]]:
    rows = _HOLDOUTS.rows(list(holdout_ids)) if holdout_ids else ()
    return {row["id"]: holdouts.shown(row) for row in rows}

"""Saved metrics: defined once, shown by every experiment they are linked to."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from django.db import transaction

from common.documents import same_document
from common.errors import Invalid, Missing
from experiments import history, metrics
from experiments.action_references import check_actions
from experiments.fingerprint import with_fingerprint
from experiments.locking import lock_saved_metrics
from experiments.metric_set import context_of
from experiments.models import Experiment, ExperimentSavedMetric, ExperimentToSavedMetric
from projects.models import Project, User

FIELDS = ("name", "description", "query", "tags")


@transaction.atomic
def create_saved_metric(*, project: Project, user: User, fields: Mapping[str, Any]) -> ExperimentSavedMetric:
    """A new saved metric; its query keeps the uuid it was sent with, or gets one. Raises Invalid."""
    query = metrics.parse_saved_query(fields.get("query"))
    check_actions(project, wanted=metrics.action_ids([query]))
    query["uuid"] = query.get("uuid") or str(uuid4())
    saved_metric = ExperimentSavedMetric.objects.create(project=project, created_by=user, **{**fields, "query": query})
    after = _snapshot(saved_metric)
    history.record_shared(saved_metric, user=user, activity="created", before=None, after=after)
    return saved_metric


def lock_saved_metric(*, project: Project, saved_metric_id: int) -> ExperimentSavedMetric:
    """The saved metric, locked until the transaction ends. Raises Missing."""
    saved_metric = lock_saved_metrics(project, [saved_metric_id]).get(saved_metric_id)
    if saved_metric is None:
        raise Missing
    return saved_metric


def update_saved_metric(saved_metric: ExperimentSavedMetric, *, user: User, changes: Mapping[str, Any]) -> None:
    """Change a locked saved metric; a changed query shows at once in all linked experiments.

    Equal values change nothing. Raises Invalid for a query that is none, and for another uuid.
    """
    before = _snapshot(saved_metric)
    for name, value in changes.items():
        setattr(saved_metric, name, _changed_query(saved_metric, value) if name == "query" else value)
    after = _snapshot(saved_metric)
    if same_document(before, after):
        return
    saved_metric.save(update_fields=[*changes, "updated_at"])
    history.record_shared(saved_metric, user=user, activity="updated", before=before, after=after)
    if "query" in changes:
        for experiment, link in _lock_links(saved_metric):
            link.query = with_fingerprint(saved_metric.query, context_of(experiment))
            link.save(update_fields=["query"])


def delete_saved_metric(saved_metric: ExperimentSavedMetric, *, user: User) -> None:
    """Delete a locked saved metric with its links and its places in the experiments' orders."""
    uuid = saved_metric.query["uuid"]
    for experiment, link in _lock_links(saved_metric):
        history.record_link(link, experiment=experiment, user=user, before={"metadata": link.metadata}, after=None)
        link.delete()
        for name in history.ORDERS:
            order = getattr(experiment, name)
            setattr(experiment, name, order and [entry for entry in order if entry != uuid])
        experiment.save(update_fields=[*history.ORDERS, "updated_at"])
    history.record_shared(saved_metric, user=user, activity="deleted", before=_snapshot(saved_metric), after=None)
    saved_metric.delete()


def _changed_query(saved_metric: ExperimentSavedMetric, sent: Any) -> dict[str, Any]:
    stored: dict[str, Any] = saved_metric.query
    query = metrics.parse_saved_query(sent)
    query["uuid"] = query.get("uuid") or stored["uuid"]
    if query["uuid"] != stored["uuid"]:
        raise Invalid("Saved metric UUID cannot be changed", attr="query")
    if metrics.differs_only_in_action_names(query, stored):
        return stored
    check_actions(saved_metric.project, wanted=metrics.action_ids([query]), known=metrics.action_ids([stored]))
    return query


def _lock_links(saved_metric: ExperimentSavedMetric) -> list[tuple[Experiment, ExperimentToSavedMetric]]:
    """The experiments that use the metric, locked in their order, each with its link."""
    experiments = (
        Experiment.objects.select_for_update(of=("self",))
        .filter(pk__in=saved_metric.experiment_links.values("experiment_id"))
        .select_related("project")
        .order_by("pk")
    )
    locked = {experiment.pk: experiment for experiment in experiments}
    links = saved_metric.experiment_links.select_related("saved_metric").order_by("experiment_id")
    return [(locked[link.experiment_id], link) for link in links]


def _snapshot(saved_metric: ExperimentSavedMetric) -> dict[str, Any]:
    return {name: getattr(saved_metric, name) for name in FIELDS}

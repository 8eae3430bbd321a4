"""The metrics of an experiment as a whole: inline ones, links to saved ones, their uuids, their order, fingerprints.

`plan` judges what a request says and changes the experiment in memory; `write_links` and `write_fingerprints` bring
the links' rows into agreement once the experiment has its final values.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from common.documents import same_document
from experiments import history, metrics, ordering, saved_metric_links, stats_config
from experiments.action_references import check_actions
from experiments.fingerprint import FingerprintContext, with_fingerprint
from experiments.locking import lock_saved_metrics
from experiments.models import Experiment, ExperimentSavedMetric, ExperimentToSavedMetric
from experiments.saved_metric_links import LinkRequest
from projects.models import User

LISTS = ("metrics", "metrics_secondary")
ORDER_OF_LIST = {"metrics": "primary_metrics_ordered_uuids", "metrics_secondary": "secondary_metrics_ordered_uuids"}
CONCERNED = frozenset({*LISTS, *ORDER_OF_LIST.values(), "saved_metrics_ids"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLink:
    """A link that is to be: the saved metric, its metadata, and the row that has been there before, if any."""

    saved_metric: ExperimentSavedMetric
    metadata: dict[str, Any]
    row: ExperimentToSavedMetric | None

    @property
    def order(self) -> str:
        """The array that lists the metric."""
        return ORDER_OF_LIST["metrics" if self.metadata["type"] == "primary" else "metrics_secondary"]

    @property
    def uuid(self) -> str:
        uuid: str = self.saved_metric.query["uuid"]
        return uuid


@dataclass(slots=True, kw_only=True)
class MetricPlan:
    """The links that are to be; None leaves them as they are."""

    links: list[PlannedLink] | None = None
    removed: list[ExperimentToSavedMetric] = field(default_factory=list)

    @property
    def changes_links(self) -> bool:
        """Whether a link is to be made, removed or used otherwise."""
        kept = self.links or []
        return bool(self.removed) or any(
            link.row is None or not same_document(link.row.metadata, link.metadata) for link in kept
        )


def links_of(experiment: Experiment) -> list[ExperimentToSavedMetric]:
    """The experiment's links, oldest first, with their saved metrics."""
    if experiment._state.adding:
        return []
    return list(experiment.saved_metric_links.select_related("saved_metric").order_by("pk"))


def plan(experiment: Experiment, changes: Mapping[str, Any]) -> MetricPlan:
    """Put the metrics and orders of a request into the experiment; answers the links to be written.

    Raises Invalid for the first broken rule.
    """
    creating = experiment._state.adding
    if not creating and CONCERNED.isdisjoint(changes):
        return MetricPlan()
    present = links_of(experiment)
    before = [PlannedLink(saved_metric=row.saved_metric, metadata=row.metadata, row=row) for row in present]
    orders_before = _uuids_by_order(experiment, before)
    touched = [name for name in LISTS if name in changes]
    for name, parsed in _parsed(experiment, {name: changes[name] for name in touched}).items():
        setattr(experiment, name, parsed)
    links = before
    if "saved_metrics_ids" in changes:
        links = _linked(experiment, saved_metric_links.parse_links(changes["saved_metrics_ids"]), present)
    untouched = [name for name in LISTS if name not in touched]
    listed = [*untouched, *touched]
    unique = ordering.unique_uuids([getattr(experiment, name) for name in listed], taken={link.uuid for link in links})
    for name, renamed in zip(listed, unique, strict=True):
        setattr(experiment, name, renamed)
    _reorder(experiment, changes, before=orders_before, links=links, creating=creating)
    if links is before:
        return MetricPlan()
    kept = {link.row.pk for link in links if link.row is not None}
    return MetricPlan(links=links, removed=[row for row in present if row.pk not in kept])


def _parsed(experiment: Experiment, sent: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The lists that a request names, judged; a metric that was merely read and sent back is the stored one."""
    stored: dict[Any, dict[str, Any]] = {
        metric["uuid"]: metric for metric in (*experiment.metrics, *experiment.metrics_secondary)
    }
    parsed = {name: metrics.parse_metrics(value, attr=name) for name, value in sent.items()}
    asked: set[int] = set()

    def kept(metric: dict[str, Any]) -> dict[str, Any]:
        same = stored.get(metric.get("uuid"))
        if same is not None and metrics.differs_only_in_action_names(metric, same):
            return same
        asked.update(metrics.action_ids([metric]) - metrics.action_ids([] if same is None else [same]))
        return metric

    lists = {name: [kept(metric) for metric in listed] for name, listed in parsed.items()}
    check_actions(experiment.project, wanted=asked)
    return lists


def _linked(
    experiment: Experiment, wanted: Sequence[LinkRequest], present: Iterable[ExperimentToSavedMetric]
) -> list[PlannedLink]:
    found = lock_saved_metrics(experiment.project, [link.saved_metric_id for link in wanted])
    rows = {row.saved_metric_id: row for row in present}
    links = []
    for link in wanted:
        saved_metric = found.get(link.saved_metric_id)
        if saved_metric is None:
            raise saved_metric_links.unknown()
        links.append(PlannedLink(saved_metric=saved_metric, metadata=link.metadata, row=rows.get(link.saved_metric_id)))
    return links


def _uuids_by_order(experiment: Experiment, links: Iterable[PlannedLink]) -> dict[str, tuple[list[str], list[str]]]:
    """Per array the uuids of the inline metrics and of the saved ones that it lists."""
    return {
        order: (
            [metric["uuid"] for metric in getattr(experiment, name)],
            [link.uuid for link in links if link.order == order],
        )
        for name, order in ORDER_OF_LIST.items()
    }


def _reorder(
    experiment: Experiment,
    changes: Mapping[str, Any],
    *,
    before: Mapping[str, tuple[list[str], list[str]]],
    links: Iterable[PlannedLink],
    creating: bool,
) -> None:
    for name, (inline, saved) in _uuids_by_order(experiment, links).items():
        sent = changes.get(name, ordering.OMITTED)
        if creating:
            order = ordering.created_order(sent=None if sent is ordering.OMITTED else sent, inline=inline, saved=saved)
        else:
            order = ordering.updated_order(
                sent=sent,
                stored=getattr(experiment, name),
                before=[*before[name][0], *before[name][1]],
                after=[*inline, *saved],
            )
        ordering.check_complete(name, order, [*inline, *saved])
        setattr(experiment, name, order)


def context_of(experiment: Experiment) -> FingerprintContext:
    """What of the experiment enters its metrics' fingerprints."""
    return FingerprintContext(
        start_date=experiment.start_date,
        stats_method=stats_config.method(experiment.stats_config),
        exposure_criteria=experiment.exposure_criteria,
        only_count_matured_users=experiment.only_count_matured_users,
        excluded_variants=experiment.excluded_variants,
    )


def fingerprint_inline(experiment: Experiment) -> None:
    """Give the experiment's own metrics their present fingerprints, in memory."""
    context = context_of(experiment)
    for name in LISTS:
        setattr(experiment, name, [with_fingerprint(metric, context) for metric in getattr(experiment, name)])


def write_links(experiment: Experiment, planned: MetricPlan, *, user: User | None) -> None:
    """Write the planned links of a saved experiment, and the fingerprints of all of them."""
    context = context_of(experiment)
    for row in planned.removed:
        history.record_link(row, experiment=experiment, user=user, before={"metadata": row.metadata}, after=None)
        row.delete()
    if planned.links is None:
        for row in links_of(experiment):
            _write_link(row, query=with_fingerprint(row.saved_metric.query, context))
        return
    for link in planned.links:
        query = with_fingerprint(link.saved_metric.query, context)
        after = {"metadata": link.metadata}
        if link.row is None:
            row = ExperimentToSavedMetric.objects.create(
                experiment=experiment, saved_metric=link.saved_metric, metadata=link.metadata, query=query
            )
            history.record_link(row, experiment=experiment, user=user, before=None, after=after)
            continue
        before = {"metadata": link.row.metadata}
        if not same_document(before, after):
            history.record_link(link.row, experiment=experiment, user=user, before=before, after=after)
        _write_link(link.row, query=query, metadata=link.metadata)


def _write_link(row: ExperimentToSavedMetric, **values: Any) -> None:
    changed = [name for name, value in values.items() if not same_document(getattr(row, name), value)]
    if changed:
        for name in changed:
            setattr(row, name, values[name])
        row.save(update_fields=changed)

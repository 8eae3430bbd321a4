"""What the activity log keeps of an experiment and of its links to saved metrics."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from activity import recorder
from activity.recorder import Trigger
from common.datetimes import format_datetime
from experiments.models import Experiment, ExperimentHoldout, ExperimentSavedMetric, ExperimentToSavedMetric
from feature_flags.history import SCOPE as FLAG_SCOPE
from projects.models import User

SCOPE = "Experiment"
HOLDOUT_SCOPE = "ExperimentHoldout"
SAVED_METRIC_SCOPE = "ExperimentSavedMetric"
HOLDOUT_TYPE = "holdout"
SAVED_METRIC_TYPE = "shared_metric"
LINK_TYPE = "saved_metric_config"
ORDERS = ("primary_metrics_ordered_uuids", "secondary_metrics_ordered_uuids")
FIELDS = (
    "name",
    "description",
    "type",
    "start_date",
    "end_date",
    "archived",
    "deleted",
    "conclusion",
    "conclusion_comment",
    "holdout_id",
    "parameters",
    "running_time_calculation",
    "excluded_variants",
    "filters",
    "metrics",
    "metrics_secondary",
    "secondary_metrics",
    *ORDERS,
    "exposure_criteria",
    "stats_config",
    "scheduling_config",
    "exposure_preaggregation_enabled",
    "only_count_matured_users",
    "folder",
)
Snapshot = Mapping[str, Any]


def snapshot(experiment: Experiment) -> dict[str, Any]:
    """The fields that the log compares. Fingerprints are left out: the server keeps them, nobody changes them."""
    fields = {name: getattr(experiment, name) for name in FIELDS}
    for name, value in fields.items():
        if isinstance(value, datetime):
            fields[name] = format_datetime(value)
    for name in ("metrics", "metrics_secondary"):
        fields[name] = [{key: part for key, part in metric.items() if key != "fingerprint"} for metric in fields[name]]
    return fields


def record(
    experiment: Experiment,
    *,
    user: User | None,
    before: Snapshot | None,
    reordered: Collection[str] = (),
    reset: bool = False,
    trigger: Trigger | None = None,
) -> None:
    """Write the row of a change just made; none when nothing that the log compares has changed.

    `reordered` names the metric orders that the caller sent: one that only followed added or removed metrics is no
    change of its own.
    """
    after = snapshot(experiment)
    compared = [name for name in FIELDS if name not in ORDERS or before is None or name in reordered]
    if experiment.type == "web" and before is not None:
        compared.remove("parameters")
    changes = recorder.changes_between(scope=SCOPE, before=before, after=after, fields=compared)
    if before is not None and not changes:
        return
    recorder.record(
        project=experiment.project,
        user=user,
        scope=SCOPE,
        item_id=experiment.pk,
        activity=_activity(before, after, reset=reset),
        name=experiment.name,
        changes=changes,
        trigger=trigger,
    )


def _activity(before: Snapshot | None, after: Snapshot, *, reset: bool) -> str:
    if before is None:
        return "created"
    if before["deleted"] != after["deleted"]:
        return "deleted" if after["deleted"] else "restored"
    return "reset" if reset else "updated"


def record_link(
    link: ExperimentToSavedMetric,
    *,
    experiment: Experiment,
    user: User | None,
    before: Snapshot | None,
    after: Snapshot | None,
) -> None:
    """Write the row of a saved metric linked (no `before`), unlinked (no `after`) or used otherwise than before."""
    activity = "created" if before is None else "deleted" if after is None else "updated"
    changes = recorder.changes_between(scope=SCOPE, before=before, after=after, fields=("metadata",))
    recorder.record(
        project=experiment.project,
        user=user,
        scope=SCOPE,
        item_id=experiment.pk,
        activity=activity,
        name=link.saved_metric.name,
        changes=changes,
        item_type=LINK_TYPE,
    )


def record_shared(
    item: ExperimentHoldout | ExperimentSavedMetric,
    *,
    user: User | None,
    activity: str,
    before: Snapshot | None,
    after: Snapshot | None,
    trigger: Trigger | None = None,
) -> None:
    """Write the row of a holdout or saved metric created (no `before`), changed or deleted (no `after`)."""
    is_holdout = isinstance(item, ExperimentHoldout)
    scope = HOLDOUT_SCOPE if is_holdout else SAVED_METRIC_SCOPE
    recorder.record(
        project=item.project,
        user=user,
        scope=scope,
        item_id=item.pk,
        activity=activity,
        name=item.name,
        changes=recorder.changes_between(scope=scope, before=before, after=after, fields=after or before or ()),
        item_type=HOLDOUT_TYPE if is_holdout else SAVED_METRIC_TYPE,
        trigger=trigger,
    )


def items_of(experiment: Experiment) -> list[tuple[str, int]]:
    """The objects whose rows tell an experiment's history: itself, its flag, its holdout and its saved metrics."""
    items = [(SCOPE, experiment.pk), (FLAG_SCOPE, experiment.feature_flag_id)]
    if experiment.holdout_id is not None:
        items.append((HOLDOUT_SCOPE, experiment.holdout_id))
    saved = experiment.saved_metric_links.values_list("saved_metric_id", flat=True)
    return items + [(SAVED_METRIC_SCOPE, saved_metric_id) for saved_metric_id in saved]

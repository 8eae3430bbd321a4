"""Locks of the rows that an act on experiments may write, always taken in one order.

Holdout or saved metrics, then experiments in ascending id, then the flag. All experiments on a flag are locked, not
only the one acted on: what they keep of the flag's configuration is written with it.
"""

from collections.abc import Iterable

from common.errors import Missing
from experiments.models import Experiment, ExperimentHoldout, ExperimentSavedMetric
from feature_flags import services as flags
from projects.models import Project


def lock_holdouts(project: Project, ids: Iterable[int]) -> dict[int, ExperimentHoldout]:
    """The project's holdouts with these ids, locked until the transaction ends; unknown ids are missing."""
    rows = ExperimentHoldout.objects.select_for_update(of=("self",), no_key=True).filter(project=project, pk__in=ids)
    return {holdout.pk: holdout for holdout in rows.order_by("pk")}


def lock_saved_metrics(project: Project, ids: Iterable[int]) -> dict[int, ExperimentSavedMetric]:
    """The project's saved metrics with these ids, locked until the transaction ends; unknown ids are missing."""
    rows = ExperimentSavedMetric.objects.select_for_update(of=("self",), no_key=True).filter(
        project=project, pk__in=ids
    )
    return {metric.pk: metric for metric in rows.order_by("pk")}


def lock_experiment(
    *,
    project: Project,
    experiment_id: int,
    deleted_too: bool = False,
    holdout_ids: Iterable[int] = (),
    saved_metric_ids: Iterable[int] = (),
) -> Experiment:
    """The experiment with its flag (`experiment.feature_flag`), both locked until the transaction ends.

    A write that names holdouts or saved metrics has them locked first. Raises Missing for an unknown experiment, and
    for a soft-deleted one unless `deleted_too`.
    """
    rows = Experiment.objects.filter(project=project)
    if not deleted_too:
        rows = rows.filter(deleted=False)
    # An experiment never changes its flag, so the flag is known before anything is locked.
    flag_id = rows.filter(pk=experiment_id).values_list("feature_flag_id", flat=True).first()
    if flag_id is None:
        raise Missing
    lock_holdouts(project, holdout_ids)
    lock_saved_metrics(project, saved_metric_ids)
    flag = flags.lock_flag(project=project, flag_id=flag_id, with_experiments=True)
    experiment = rows.select_related("holdout").filter(pk=experiment_id).first()
    if experiment is None:  # deleted since it was looked up
        raise Missing
    experiment.project = project
    experiment.feature_flag = flag
    return experiment

"""Writing experiments: create, update, and the acts of their lifecycle.

Whoever calls `update` or an act holds the locks of `experiments.locking` inside one transaction; a refusal, also one
of the flag's, leaves neither experiment nor flag changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from activity.recorder import Trigger
from approvals.families import Family
from approvals.gate import Passed, approval_gate
from common.documents import same_document
from common.errors import Invalid
from experiments import (
    excluded_variants,
    exposure_criteria,
    flag_config,
    flag_link,
    gating,
    history,
    lifecycle,
    metric_set,
    parameters,
    stats_config,
)
from experiments.action_references import check_actions
from experiments.flag_config import FlagSettings
from experiments.locking import lock_holdouts
from experiments.metric_set import MetricPlan
from experiments.models import Experiment, ExperimentHoldout, ExperimentType
from experiments.parameters import Parameters
from feature_flags import services as flags
from feature_flags.gating import GatedAct, ask_to_create
from feature_flags.services import FlagChanges
from feature_flags.validation.variants import variant_keys
from projects.models import Project, User

# Written as sent, without a rule that involves another field.
_PLAIN = (
    "name",
    "description",
    "secondary_metrics",
    "filters",
    "exposure_criteria",
    "stats_config",
    "scheduling_config",
    "exposure_preaggregation_enabled",
    "only_count_matured_users",
    "conclusion",
    "conclusion_comment",
    "deleted",
)
_STORED = (
    *_PLAIN,
    "type",
    "status",
    "start_date",
    "end_date",
    "archived",
    "holdout_id",
    "parameters",
    "shown_parameters",
    "running_time_calculation",
    "excluded_variants",
    "metrics",
    "metrics_secondary",
    *history.ORDERS,
)
ACTION = "experiment_action"


def trigger_of(act: str) -> Trigger:
    """What the activity log says of a lifecycle act."""
    return Trigger(job_type=ACTION, job_id=None, payload={"action": act})


@approval_gate
@transaction.atomic
def create_experiment(
    *, project: Project, user: User, fields: Mapping[str, Any], gate: Passed | None = None
) -> Experiment:
    """A new experiment with its flag, which is created unless a live one has the key.

    A draft, unless a start date is given. Raises Invalid for the first broken rule, of the flag's too, and
    ApprovalRequired when the new flag would be active and the gate holds that back.
    """
    trigger = None if gate is None else gate.trigger
    criteria = fields.get("exposure_criteria") or exposure_criteria.parse(None, creating=True)
    check_actions(project, wanted=exposure_criteria.action_ids(criteria))
    start, end, archived = fields.get("start_date"), fields.get("end_date"), fields.get("archived", False)
    if archived and (start is None or end is None):
        raise Invalid(lifecycle.NOT_ENDED)
    lifecycle.check_date_order(start, end)
    sent: Parameters = fields.get("parameters") or parameters.parse_parameters(None)
    configured = fields.get("feature_flag") or FlagSettings()
    experiment = Experiment(
        project=project,
        description="",
        type=ExperimentType.PRODUCT,
        only_count_matured_users=project.default_only_count_matured_users,
        created_by=user,
        start_date=start,
        end_date=end,
        archived=archived,
        status=lifecycle.status_of_dates(start, end),
        parameters=flag_config.agreeing(sent.document, configured),
        folder=fields.get("_create_in_folder"),
    )
    if "type" in fields:
        experiment.type = fields["type"]
    _set_plain(experiment, fields)
    experiment.exposure_criteria = criteria
    _set_analysis_fields(experiment, fields)
    # Locked before the flag, in the one order of locks.
    experiment.holdout = holdout_of(project, fields.get("holdout_id"))
    planned = metric_set.plan(experiment, fields)
    settings = flag_config.settings_of_new_flag(sent.document)
    made_flag = flag_link.link_or_create(
        experiment,
        key=fields["feature_flag_key"],
        settings=settings.overlaid_by(configured),
        is_configured="feature_flag" in fields,
        user=user,
        trigger=trigger,
    )
    check_analysis(experiment, variant_keys(experiment.feature_flag.filters))
    experiment.stats_config = stats_config.with_project_defaults(experiment.stats_config, project=project)
    insert(experiment, planned, user=user, trigger=trigger)
    if made_flag and gate is None:
        ask_to_create(
            experiment.feature_flag, act=gating.creation(experiment, fields), user=user, only=(Family.ENABLE,)
        )
    return experiment


def insert(experiment: Experiment, planned: MetricPlan, *, user: User, trigger: Trigger | None = None) -> None:
    """Save a new experiment whose fields and flag are settled, with its links and its activity row."""
    metric_set.fingerprint_inline(experiment)
    experiment.shown_parameters = parameters.shown(experiment)
    experiment.save()
    metric_set.write_links(experiment, planned, user=user)
    history.record(experiment, user=user, before=None, trigger=trigger)


def _set_plain(experiment: Experiment, fields: Mapping[str, Any]) -> None:
    for name in _PLAIN:
        if name in fields:
            setattr(experiment, name, fields[name])


def _set_analysis_fields(experiment: Experiment, fields: Mapping[str, Any]) -> None:
    """The two fields that parameters may speak of as well; the field itself wins."""
    sent: Parameters | None = fields.get("parameters")
    if "running_time_calculation" in fields:
        experiment.running_time_calculation = fields["running_time_calculation"]
    elif sent is not None:
        experiment.running_time_calculation = {
            **experiment.running_time_calculation,
            **sent.running_time_calculation,
        }
    if "excluded_variants" in fields:
        experiment.excluded_variants = fields["excluded_variants"]
    elif sent is not None and sent.excluded_variants is not None:
        experiment.excluded_variants = sent.excluded_variants


def holdout_of(project: Project, holdout_id: int | None) -> ExperimentHoldout | None:
    """The project's holdout with this id, locked; None without an id. Raises Invalid when there is none."""
    if holdout_id is None:
        return None
    holdout = lock_holdouts(project, [holdout_id]).get(holdout_id)
    if holdout is None:
        raise Invalid(f'Invalid pk "{holdout_id}" - object does not exist.', code="does_not_exist", attr="holdout_id")
    return holdout


def check_analysis(experiment: Experiment, variants: list[str]) -> None:
    """Raise Invalid unless method, baseline and excluded variants fit these variants."""
    stats_config.check(experiment.stats_config, variants=variants)
    excluded_variants.check(
        experiment.excluded_variants, variants=variants, baseline=stats_config.baseline(experiment.stats_config)
    )


@dataclass(frozen=True, slots=True)
class _Before:
    """An experiment as it was when its locks were taken."""

    stored: Mapping[str, Any]
    logged: history.Snapshot


def _before(experiment: Experiment) -> _Before:
    return _Before(stored={name: getattr(experiment, name) for name in _STORED}, logged=history.snapshot(experiment))


@approval_gate
def update_experiment(
    experiment: Experiment, *, user: User, changes: Mapping[str, Any], gate: Passed | None = None
) -> bool:
    """Write the fields of a PATCH into a locked experiment; dates and marks go through the lifecycle.

    Equal values change nothing: then the answer is False. Raises Invalid for the first broken rule, ApprovalRequired
    when the gate holds back what the flag would become.
    """
    before = _before(experiment)
    asking = gate or gating.change(experiment, changes)
    check_actions(
        experiment.project,
        wanted=exposure_criteria.action_ids(changes.get("exposure_criteria")),
        known=exposure_criteria.action_ids(experiment.exposure_criteria),
    )
    _refuse_hopeless_restore(experiment, changes)
    _refuse_unchangeable(experiment, changes)
    lifecycle.check_date_order(
        changes.get("start_date", experiment.start_date), changes.get("end_date", experiment.end_date)
    )
    holdout = holdout_of(experiment.project, changes.get("holdout_id"))
    flag_changes = flag_link.planned_changes(experiment, changes, holdout=holdout)
    planned = metric_set.plan(experiment, changes)
    filters = flag_changes.get("filters", experiment.feature_flag.filters)
    sent: Parameters | None = changes.get("parameters")
    if sent is not None:
        experiment.parameters = flag_config.agreeing(sent.document, changes.get("feature_flag") or FlagSettings())
    _set_analysis_fields(experiment, changes)
    if "stats_config" in changes:
        experiment.stats_config = changes["stats_config"]
    _check_changed_analysis(experiment, before, variant_keys(filters))
    if "holdout_id" in changes:
        experiment.holdout = holdout
    routed = lifecycle.route(experiment, changes, now=timezone.now(), flag_filters=filters)
    _set_plain(experiment, changes)
    return _write(
        experiment,
        user=user,
        gate=asking,
        before=before,
        flag_changes={**flag_changes, **routed.flag_changes},
        planned=planned,
        reordered=[name for name in history.ORDERS if name in changes],
        reset="reset" in routed.transitions,
        trigger=trigger_of(routed.transitions[0]) if routed.transitions else None,
    )


def _check_changed_analysis(experiment: Experiment, before: _Before, variants: list[str]) -> None:
    """What was fine when it was written is not asked again, so that an experiment can be sent back as it was read."""
    changed = any(
        not same_document(getattr(experiment, name), before.stored[name])
        for name in ("stats_config", "excluded_variants")
    )
    if changed or set(variants) != set(variant_keys(experiment.feature_flag.filters)):
        check_analysis(experiment, variants)


def _refuse_hopeless_restore(experiment: Experiment, changes: Mapping[str, Any]) -> None:
    if experiment.deleted and changes.get("deleted") is False and experiment.feature_flag.deleted:
        raise Invalid(
            "Cannot restore experiment: the linked feature flag has been deleted. "
            "Restore the feature flag first, then restore the experiment."
        )


def _refuse_unchangeable(experiment: Experiment, changes: Mapping[str, Any]) -> None:
    flag = experiment.feature_flag
    refused = []
    if "type" in changes and changes["type"] != experiment.type:
        refused.append("type")
    if "feature_flag_key" in changes and changes["feature_flag_key"] not in (flag.key, flag.plain_key):
        refused.append("get_feature_flag_key")
    if "_create_in_folder" in changes and changes["_create_in_folder"] != experiment.folder:
        refused.append("_create_in_folder")
    if refused:
        raise Invalid(f"Can't update keys: {', '.join(sorted(refused))} on Experiment")
    properties = changes.get("filters", {}).get("properties")
    if properties and not same_document(properties, experiment.filters.get("properties")):
        raise Invalid("Experiments do not support global filter properties")


@approval_gate
def act(
    experiment: Experiment,
    name: str,
    *,
    user: User,
    arguments: Mapping[str, Any] | None = None,
    at: datetime | None = None,
    gate: Passed | None = None,
) -> None:
    """Make a lifecycle transition of a locked experiment, at this moment unless `at` says when.

    Raises InvalidState with the transition's own sentence when it is not possible now, ApprovalRequired when the gate
    holds it back.
    """
    before = _before(experiment)
    asking = gate or gating.transition(experiment, name, arguments or {})
    flag_changes = lifecycle.perform(name, experiment, at=at or timezone.now(), arguments=arguments)
    _write(
        experiment,
        user=user,
        gate=asking,
        before=before,
        flag_changes=flag_changes,
        planned=MetricPlan(),
        reset=name == "reset",
        trigger=trigger_of(name),
    )


def _write(
    experiment: Experiment,
    *,
    user: User,
    gate: Passed | GatedAct,
    before: _Before,
    flag_changes: FlagChanges,
    planned: MetricPlan,
    reordered: list[str] | None = None,
    reset: bool = False,
    trigger: Trigger | None = None,
) -> bool:
    """Save what has changed: the row, the links, the flag, and one activity row for each of them that did.

    Answers whether anything has. The gate is asked last, once all rules have been kept.
    """
    if isinstance(gate, Passed):
        trigger = gate.trigger or trigger
    # Judged before the experiment is saved: the flag's rules ask which experiments on it have been running until now.
    flag_update = flags.plan_update(flag=experiment.feature_flag, changes=flag_changes, replace_filters=True)
    metric_set.fingerprint_inline(experiment)
    shown = parameters.shown(experiment)
    if same_document(shown, before.stored["shown_parameters"]):
        # Said in other words, such as a form that was read and sent back.
        experiment.parameters = before.stored["parameters"]
    experiment.shown_parameters = shown
    changed = [name for name in _STORED if not same_document(getattr(experiment, name), before.stored[name])]
    if changed:
        experiment.save(update_fields=[*changed, "updated_at"])
    metric_set.write_links(experiment, planned, user=user)
    if flags.apply_update(flag_update, user=user, trigger=trigger, gate=gate):
        # The flag has told its experiments, this one among them, what they keep of its configuration.
        experiment.refresh_from_db(fields=["parameters", "shown_parameters", "updated_at"])
    history.record(experiment, user=user, before=before.logged, reordered=reordered or (), reset=reset, trigger=trigger)
    return bool(changed or flag_update.after or planned.changes_links)

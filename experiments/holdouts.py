"""Holdouts: written with everything they reach, the flags of the experiments that use them."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from activity.recorder import Trigger
from approvals.gate import Passed, approval_gate
from common.documents import same_document
from common.errors import Invalid, Missing
from experiments import flag_config, history, holdout_gating
from experiments.locking import lock_holdouts
from experiments.models import Experiment, ExperimentHoldout
from feature_flags import services as flags
from projects.models import Project, User

FIELDS = ("name", "description", "filters")


def parse_filters(sent: Any) -> list[dict[str, Any]]:
    """The filters as they are stored, without the variant, which the holdout's id decides. Raises Invalid."""
    if not isinstance(sent, list):
        raise Invalid(
            f'Expected a list of items but got type "{type(sent).__name__}".', code="not_a_list", attr="filters"
        )
    return [_filter(element) for element in sent]


def _filter(element: Any) -> dict[str, Any]:
    percentage = element.get("rollout_percentage") if isinstance(element, dict) else None
    if isinstance(percentage, bool) or not isinstance(percentage, int | float):
        raise Invalid("Rollout percentage must be present.", attr="filters")
    if not 0 <= percentage <= 100:
        raise Invalid("Rollout percentage must be between 0 and 100.", attr="filters")
    properties = element.get("properties") or []
    if not isinstance(properties, list):
        raise Invalid("Properties must be a list.", attr="filters")
    return {**element, "properties": properties}


@transaction.atomic
def create_holdout(*, project: Project, user: User, fields: Mapping[str, Any]) -> ExperimentHoldout:
    """A new holdout, which nothing uses yet. Raises Invalid without filters."""
    if not fields.get("filters"):
        raise Invalid("Filters are required to create an holdout group")
    holdout = ExperimentHoldout.objects.create(project=project, created_by=user, **fields)
    holdout.filters = _with_variant(holdout, fields["filters"])
    holdout.save(update_fields=["filters"])
    history.record_shared(holdout, user=user, activity="created", before=None, after=_snapshot(holdout))
    return holdout


def lock_holdout(*, project: Project, holdout_id: int) -> ExperimentHoldout:
    """The holdout, locked until the transaction ends. Raises Missing."""
    holdout = lock_holdouts(project, [holdout_id]).get(holdout_id)
    if holdout is None:
        raise Missing
    return holdout


@approval_gate
def update_holdout(
    holdout: ExperimentHoldout, *, user: User, changes: Mapping[str, Any], gate: Passed | None = None
) -> bool:
    """Change a locked holdout; a new share reaches the live flags of all its experiments.

    Equal values change nothing: then the answer is False. Raises Invalid for empty filters and by the flags' own
    rules, ApprovalRequired when the gate holds a new share back.
    """
    if "filters" in changes and not changes["filters"]:
        raise Invalid("Filters must not be empty.", attr="filters")
    before, name_before, share_before = _snapshot(holdout), holdout.name, holdout.exclusion_percentage
    for name, value in changes.items():
        setattr(holdout, name, _with_variant(holdout, value) if name == "filters" else value)
    after = _snapshot(holdout)
    if same_document(before, after):
        return False
    trigger = None if gate is None else gate.trigger
    holdout.save(update_fields=[*changes, "updated_at"])
    history.record_shared(holdout, user=user, activity="updated", before=before, after=after, trigger=trigger)
    if "filters" in changes:
        experiments = _lock_experiments(holdout)
        _write_flags(experiments, part=flag_config.holdout_part(holdout), user=user, trigger=trigger)
        if gate is None:
            holdout_gating.ask_to_update(
                holdout,
                name_before=name_before,
                share_before=share_before,
                changes=changes,
                experiments=experiments,
                user=user,
            )
    return True


@approval_gate
def delete_holdout(holdout: ExperimentHoldout, *, user: User, gate: Passed | None = None) -> None:
    """Delete a locked holdout: its experiments and their live flags have none afterwards.

    Raises ApprovalRequired when the gate holds it back.
    """
    experiments = _lock_experiments(holdout)
    if gate is None:
        holdout_gating.ask_to_delete(holdout, experiments=experiments, user=user)
    trigger = None if gate is None else gate.trigger
    _write_flags(experiments, part=None, user=user, trigger=trigger)
    for experiment in experiments:
        before = history.snapshot(experiment)
        experiment.holdout = None
        experiment.save(update_fields=["holdout", "updated_at"])
        history.record(experiment, user=user, before=before, trigger=trigger)
    before = _snapshot(holdout)
    history.record_shared(holdout, user=user, activity="deleted", before=before, after=None, trigger=trigger)
    holdout.delete()


def _with_variant(holdout: ExperimentHoldout, filters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**element, "variant": f"holdout-{holdout.pk}"} for element in filters]


def _lock_experiments(holdout: ExperimentHoldout) -> list[Experiment]:
    """All experiment rows on the holdout, in any state, locked in their order."""
    rows = Experiment.objects.select_for_update(of=("self",)).filter(holdout=holdout).order_by("pk")
    return list(rows.select_related("project", "feature_flag"))


def _write_flags(
    experiments: list[Experiment], *, part: dict[str, Any] | None, user: User, trigger: Trigger | None
) -> None:
    """Write the flags' part of a holdout's change, for which the gate is asked as a whole."""
    # All are locked before the first is written: a write may take a lock that comes after those of all rows.
    for flag in flags.lock_flags({experiment.feature_flag_id for experiment in experiments}).values():
        if not flag.deleted:
            flags.update_flag(
                flag=flag, user=user, changes={"filters": {"holdout": part}}, gate=Passed(trigger=trigger)
            )


def _snapshot(holdout: ExperimentHoldout) -> dict[str, Any]:
    return {name: getattr(holdout, name) for name in FIELDS}

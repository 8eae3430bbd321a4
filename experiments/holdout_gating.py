"""What of a holdout needs approval, and how a change of it is put before approvers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from approvals import gate
from approvals.conditions import EXCLUSION, Observed
from approvals.families import Family
from approvals.gate import Proposal
from approvals.models import ChangeRequest
from experiments.models import Experiment, ExperimentHoldout
from projects.models import User

RESOURCE = "experiment_holdout"
SHARE_MOVED = "The exclusion percentage was changed since this change was requested."
EXPERIMENTS_MOVED = "The affected experiments have changed since this change was requested."
GONE = "The holdout no longer exists."


def ask_to_update(
    holdout: ExperimentHoldout,
    *,
    name_before: str,
    share_before: float,
    changes: Mapping[str, Any],
    experiments: Iterable[Experiment],
    user: User | None,
) -> None:
    """Raise unless the share of a holdout may become what it is by now; `changes` are all that was sent."""
    share = holdout.exclusion_percentage
    if share == share_before:
        return
    _ask(
        holdout,
        Family.HOLDOUT_UPDATE,
        name=name_before,
        description=f"Change the exclusion percentage of holdout '{name_before}'",
        shares=(share_before, share),
        gated={EXCLUSION: share},
        desired=changes,
        experiments=experiments,
        user=user,
    )


def ask_to_delete(holdout: ExperimentHoldout, *, experiments: Iterable[Experiment], user: User | None) -> None:
    """Raise unless a holdout that is still there may go."""
    _ask(
        holdout,
        Family.HOLDOUT_DELETE,
        name=holdout.name,
        description=f"Delete holdout '{holdout.name}'",
        shares=(holdout.exclusion_percentage, 0),
        gated={"deleted": True},
        desired={"deleted": True},
        experiments=experiments,
        user=user,
    )


def _ask(
    holdout: ExperimentHoldout,
    family: Family,
    *,
    name: str,
    description: str,
    shares: tuple[float, float],
    gated: Mapping[str, Any],
    desired: Mapping[str, Any],
    experiments: Iterable[Experiment],
    user: User | None,
) -> None:
    affected = [
        {"id": experiment.pk, "name": experiment.name, "flag_key": experiment.feature_flag.plain_key}
        for experiment in experiments
        if not experiment.deleted
    ]
    before, after = (_observed(share) for share in shares)
    current = {EXCLUSION: shares[0]}
    act = family.value
    proposal = Proposal(
        act=f"{RESOURCE}.{act}",
        resource_type=RESOURCE,
        resource_id=str(holdout.pk),
        subject=str(holdout.pk),
        intent={
            "act": act,
            "http_method": "DELETE" if family is Family.HOLDOUT_DELETE else "PATCH",
            "holdout_id": holdout.pk,
            "holdout_name": name,
            "current_state": current,
            "gated_changes": dict(gated),
            "desired_changes": dict(desired),
            "affected_experiments": affected,
        },
        intent_display={"description": description, "before": current, "after": dict(gated)},
        payload={"changes": dict(desired)},
    )
    gate.require(
        project=holdout.project,
        user=user,
        families=[family],
        before=before,
        after=after,
        on_experiment=lambda: bool(affected),
        propose=lambda family: proposal,
    )


def _observed(share: float) -> Observed:
    return {EXCLUSION: {EXCLUSION: share}}


def moved(requests: Sequence[ChangeRequest]) -> dict[UUID, str]:
    """Of these requests about holdouts, those whose share or whose experiments are others by now. Two queries."""
    wanted = {request.intent["holdout_id"] for request in requests}
    holdouts = ExperimentHoldout.objects.in_bulk(list(wanted))
    affected: dict[int | None, set[int]] = {}
    rows = Experiment.objects.filter(holdout_id__in=wanted, deleted=False).values_list("holdout_id", "pk")
    for holdout_id, experiment_id in rows:
        affected.setdefault(holdout_id, set()).add(experiment_id)
    found = {}
    for request in requests:
        intent = request.intent
        holdout = holdouts.get(intent["holdout_id"])
        known = {experiment["id"] for experiment in intent["affected_experiments"]}
        if holdout is None:
            found[request.pk] = GONE
        elif holdout.exclusion_percentage != intent["current_state"][EXCLUSION]:
            found[request.pk] = SHARE_MOVED
        elif affected.get(holdout.pk, set()) != known:
            found[request.pk] = EXPERIMENTS_MOVED
    return found

"""How approved acts of experiments are applied: read, locked and done as if the requester sent them now."""

from typing import Any

from approvals import registry
from approvals.gate import Passed
from approvals.models import ChangeRequest
from approvals.registry import Applied, RegisteredAct
from common.errors import Missing
from experiments import gating, holdout_gating, holdouts, lifecycle, services
from experiments.api.holdouts import HoldoutRequest
from experiments.api.requests import ExperimentChange, ExperimentCreation, named_rows, restores
from experiments.flag_config import shipped_filters
from experiments.lifecycle import State
from experiments.locking import lock_experiment, lock_holdouts
from experiments.models import Experiment, ExperimentHoldout
from feature_flags import services as flags
from feature_flags.approved import applied
from feature_flags.validation.variants import variant_keys
from projects.models import User


def register() -> None:
    """Called once, when the applications are ready."""
    registry.register("experiment.create", RegisteredAct(lock=_nothing, perform=_create, moved=gating.moved))
    registry.register("experiment.update", RegisteredAct(lock=_lock_for_change, perform=_update, moved=gating.moved))
    registry.register("experiment.act", RegisteredAct(lock=_lock, perform=_act, moved=gating.moved))

    registry.register(
        "experiment_holdout.holdout_update",
        RegisteredAct(lock=_lock_holdout, perform=_update_holdout, moved=holdout_gating.moved),
    )
    registry.register(
        "experiment_holdout.holdout_delete",
        RegisteredAct(lock=_lock_holdout, perform=_delete_holdout, moved=holdout_gating.moved),
    )


def _nothing(request: ChangeRequest) -> None:
    """A creation has nothing to lock."""


def _lock(request: ChangeRequest, **named: Any) -> Experiment:
    return lock_experiment(project=request.project, experiment_id=request.intent["experiment_id"], **named)


def _lock_for_change(request: ChangeRequest) -> Experiment:
    changes = request.payload["changes"]
    return _lock(request, deleted_too=restores(changes), **named_rows(changes))


def _create(subject: None, request: ChangeRequest, user: User, gate: Passed) -> Applied:
    project = request.project
    fields = ExperimentCreation(data=request.payload["fields"], context={"project": project}).read()
    experiment = services.create_experiment(project=project, user=user, fields=fields, gate=gate)
    return applied(experiment.feature_flag, changed=True)


def _update(experiment: Experiment, request: ChangeRequest, user: User, gate: Passed) -> Applied:
    body = ExperimentChange(
        data=gating.opened(request.payload),
        partial=True,
        context={"project": request.project, "experiment": experiment},
    )
    changed = services.update_experiment(experiment, user=user, changes=body.read(), gate=gate)
    return applied(experiment.feature_flag, changed=changed)


def _act(experiment: Experiment, request: ChangeRequest, user: User, gate: Passed) -> Applied:
    name, arguments = request.payload["act"], request.payload["arguments"]
    if _is_done(experiment, name, arguments):
        return applied(experiment.feature_flag, changed=False)
    services.act(experiment, name, user=user, arguments=arguments, gate=gate)
    return applied(experiment.feature_flag, changed=True)


def _is_done(experiment: Experiment, name: str, arguments: dict[str, Any]) -> bool:
    """Whether everything is as the act would leave it."""
    flag, state = experiment.feature_flag, lifecycle.state_of(experiment)
    if name == "launch":
        return state is not State.DRAFT and flag.active
    if name == "resume":
        return state is State.RUNNING
    if name == "pause":
        return state is State.PAUSED
    if state not in (State.STOPPED, State.ARCHIVED) or arguments["variant_key"] not in variant_keys(flag.filters):
        return False
    concluding = arguments.keys() & {"conclusion", "conclusion_comment"}
    if any(getattr(experiment, field) != arguments[field] for field in concluding):
        return False
    shipped = shipped_filters(
        flag.filters,
        variant_key=arguments["variant_key"],
        release_to_everyone=arguments["release_to_everyone"],
    )
    return not flags.plan_update(flag=flag, changes={"filters": shipped}, replace_filters=True).after


def _lock_holdout(request: ChangeRequest) -> ExperimentHoldout | None:
    holdout_id = request.intent["holdout_id"]
    return lock_holdouts(request.project, [holdout_id]).get(holdout_id)


def _update_holdout(holdout: ExperimentHoldout | None, request: ChangeRequest, user: User, gate: Passed) -> Applied:
    if holdout is None:
        raise Missing
    changes = HoldoutRequest(data=request.payload["changes"], partial=True).read()
    changed = holdouts.update_holdout(holdout, user=user, changes=changes, gate=gate)
    return Applied(resource_id=holdout.pk, resource_version=None, changed=changed)


def _delete_holdout(holdout: ExperimentHoldout | None, request: ChangeRequest, user: User, gate: Passed) -> Applied:
    if holdout is not None:
        holdouts.delete_holdout(holdout, user=user, gate=gate)
    return Applied(resource_id=request.resource_id, resource_version=None, changed=holdout is not None)

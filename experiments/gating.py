"""How the acts of experiments that write their flag are put before approvers."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from approvals.models import ChangeRequest
from common.datetimes import format_datetime
from experiments.holdout_gating import SHARE_MOVED
from experiments.models import Experiment, ExperimentHoldout
from experiments.sent_fields import as_sent
from feature_flags import encryption
from feature_flags import gating as flag_gating
from feature_flags.gating import GatedAct

MOVED = "The experiment was changed since this change was requested."
GONE = "The experiment no longer exists."


def creation(experiment: Experiment, fields: Mapping[str, Any]) -> GatedAct:
    """The act of making an experiment of these validated fields."""
    sent = as_sent(fields)
    return GatedAct(
        registered="experiment.create",
        name="create",
        http_method="POST",
        description="Create the launched experiment on feature flag '{key}'",
        sent=sent,
        payload={"fields": sent},
        experiment=(None, experiment.name),
    )


def change(experiment: Experiment, changes: Mapping[str, Any]) -> GatedAct:
    """The act of changing these validated fields of an experiment that has not been written yet."""
    sent = as_sent(changes)
    encrypted = experiment.feature_flag.has_encrypted_payloads and "feature_flag" in sent
    return GatedAct(
        registered="experiment.update",
        name="update",
        http_method="PATCH",
        description="Update the experiment on feature flag '{key}'",
        sent=_with_flag_filters(sent, encryption.redacted) if encrypted else sent,
        payload={"changes": _with_flag_filters(sent, _sealed) if encrypted else sent, "encrypted": encrypted},
        experiment=(experiment.pk, experiment.name),
        preconditions={"experiment_updated_at": format_datetime(experiment.updated_at)},
    )


def transition(experiment: Experiment, name: str, arguments: Mapping[str, Any]) -> GatedAct:
    """The act of a transition by its name."""
    verb = f"Ship variant '{arguments['variant_key']}' of" if name == "ship_variant" else name.capitalize()
    return GatedAct(
        registered="experiment.act",
        name=name,
        http_method="POST",
        description=f"{verb} the experiment on feature flag '{{key}}'",
        sent=dict(arguments),
        payload={"act": name, "arguments": dict(arguments)},
        experiment=(experiment.pk, experiment.name),
    )


def opened(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The changes of a `change` as they were sent, an encrypted payload of the flag in clear."""
    changes: dict[str, Any] = payload["changes"]
    return _with_flag_filters(changes, encryption.opened) if payload["encrypted"] else changes


def _with_flag_filters(sent: Mapping[str, Any], rewritten: Any) -> dict[str, Any]:
    flag = sent["feature_flag"]
    return {**sent, "feature_flag": {**flag, "filters": rewritten(flag["filters"])}}


def _sealed(filters: Mapping[str, Any]) -> dict[str, Any]:
    return encryption.sealed(filters, stored=None)


def moved(requests: Sequence[ChangeRequest]) -> dict[UUID, str]:
    """Of these requests about experiments, those made on a state that is no more: of the flag, for a change of fields
    of the experiment as well, and of the holdout that it is to get.
    """
    found = flag_gating.moved(requests) | _shares_moved(requests)
    wanted = {request.pk: _read_at(request) for request in requests}
    ids = {experiment_id for experiment_id, read_at in wanted.values() if read_at is not None}
    if not ids:
        return found
    rows = Experiment.objects.filter(pk__in=ids).values_list("pk", "updated_at")
    now = {pk: format_datetime(updated_at) for pk, updated_at in rows}
    for request_id, (experiment_id, read_at) in wanted.items():
        if read_at is not None and now.get(experiment_id) != read_at:
            found.setdefault(request_id, MOVED if experiment_id in now else GONE)
    return found


def _shares_moved(requests: Sequence[ChangeRequest]) -> dict[UUID, str]:
    """Of these requests, those approved for another share than that of the holdout by now."""
    wanted = {}
    for request in requests:
        holdout_id = request.payload.get("changes", {}).get("holdout_id")
        shares = [
            change["value"]
            for change in request.intent["gated_changes"].get("rollout_percentage", [])
            if change["path"] == flag_gating.HOLDOUT_PATH
        ]
        if holdout_id is not None and shares:
            wanted[request.pk] = holdout_id, shares[0]
    if not wanted:
        return {}
    holdouts = ExperimentHoldout.objects.in_bulk([holdout_id for holdout_id, _ in wanted.values()])
    return {
        request_id: SHARE_MOVED
        for request_id, (holdout_id, share) in wanted.items()
        if holdout_id in holdouts and holdouts[holdout_id].exclusion_percentage != share
    }


def _read_at(request: ChangeRequest) -> tuple[int, str | None]:
    preconditions = request.intent["preconditions"] or {}
    return request.intent["experiment_id"], preconditions.get("experiment_updated_at")

"""How approved changes of flags are applied: as the requester, by all rules, as if they were sent now."""

from collections.abc import Mapping
from typing import Any

from approvals import registry
from approvals.gate import Passed
from approvals.models import ChangeRequest
from approvals.registry import Applied, RegisteredAct
from common.errors import Missing
from feature_flags import copying, encryption, gating, services
from feature_flags.keys import KeyTaken
from feature_flags.models import FeatureFlag
from projects.models import User


def register() -> None:
    """Called once, when the applications are ready."""
    registry.register("feature_flag.create", RegisteredAct(lock=_nothing, perform=_create, moved=gating.moved))
    registry.register("feature_flag.update", RegisteredAct(lock=_lock, perform=_update, moved=gating.moved))
    registry.register("feature_flag.act", RegisteredAct(lock=_lock, perform=_act, moved=gating.moved))
    registry.register("feature_flag.copy", RegisteredAct(lock=_lock_both, perform=_copy, moved=gating.copy_moved))


def _nothing(request: ChangeRequest) -> None:
    """A creation has nothing to lock."""


def _lock(request: ChangeRequest) -> FeatureFlag:
    return services.lock_flag(project=request.project, flag_id=request.intent["flag_id"], with_experiments=True)


def applied(flag: FeatureFlag, *, changed: bool) -> Applied:
    """What is told of an applied change of a flag."""
    return Applied(resource_id=flag.pk, resource_version=flag.version, changed=changed)


def _create(subject: None, request: ChangeRequest, user: User, gate: Passed) -> Applied:
    fields = _opened(request.payload["fields"], encrypted=request.payload["encrypted"])
    while True:
        live = FeatureFlag.objects.filter(project=request.project, key=fields["key"], deleted=False).first()
        if live is not None:
            return applied(live, changed=False)
        try:
            made = services.create_flag(project=request.project, user=user, gate=gate, **fields)
        except KeyTaken:
            continue  # Somebody made it at this very moment.
        return applied(made, changed=True)


def _update(flag: FeatureFlag, request: ChangeRequest, user: User, gate: Passed) -> Applied:
    changes: Any = _opened(request.payload["changes"], encrypted=request.payload["encrypted"])
    planned = services.plan_update(flag=flag, changes=changes, replace_filters=True)
    return applied(flag, changed=services.apply_update(planned, user=user, gate=gate))


def _act(flag: FeatureFlag, request: ChangeRequest, user: User, gate: Passed) -> Applied:
    written = services.act_on_flag(
        project=request.project, flag_id=flag.pk, user=user, act=request.payload["act"], gate=gate
    )
    return applied(written, changed=written.version != flag.version)


def _lock_both(request: ChangeRequest) -> FeatureFlag:
    """The flag to be copied; locked with the one that it updates, if there is one."""
    source_id, target_id = request.payload["flag_id"], request.intent["flag_id"]
    wanted = [flag_id for flag_id in (source_id, target_id) if flag_id is not None]
    source = services.lock_flags(wanted, with_experiments=True).get(source_id)
    if source is None:
        raise Missing
    return source


def _copy(source: FeatureFlag, request: ChangeRequest, user: User, gate: Passed) -> Applied:
    options = {name: request.payload[name] for name in ("copy_schedule", "disabled")}
    live = FeatureFlag.objects.filter(project=request.project, key=source.key, deleted=False).first()
    if live is not None and request.resource_id is None:
        return applied(live, changed=False)
    copy = copying.copy_flag(flag=source, target=request.project, user=user, gate=gate, **options)
    unchanged = live is not None and live.version == copy.version and not options["copy_schedule"]
    return applied(copy, changed=not unchanged)


def _opened(fields: Mapping[str, Any], *, encrypted: bool) -> dict[str, Any]:
    """The fields as they were sent, an encrypted payload in clear."""
    opened = dict(fields)
    if encrypted and "filters" in opened:
        opened["filters"] = encryption.opened(opened["filters"])
    return opened

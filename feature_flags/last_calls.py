"""When flags were called last, as their calls tell that applications have sent."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db.models import BooleanField, ExpressionWrapper, QuerySet

from events.store import event_store
from feature_flags.keys import deleted_key
from feature_flags.models import FeatureFlag
from feature_flags.rollout_state import fully_rolled_out, is_stale, possibly_stale


def last_calls(flags: Iterable[tuple[int, str]], *, project_id: int) -> Mapping[int, datetime]:
    """The newest call of each flag, given by id and key, that was ever called. One read of the event store."""
    # A deleted flag may bear a key of its own; its calls named the one it had.
    keys = {flag_id: key.removesuffix(deleted_key("", flag_id)) for flag_id, key in flags}
    if not keys:
        return {}
    found = event_store().last_flag_calls(project_id=project_id, flag_keys=set(keys.values()))
    return {flag_id: found[key] for flag_id, key in keys.items() if key in found}


def stale_ids(flags: QuerySet[FeatureFlag], now: datetime) -> list[int]:
    """The ids of the stale ones among the flags of one project."""
    full_rollout = ExpressionWrapper(fully_rolled_out(), output_field=BooleanField())
    possible = flags.filter(possibly_stale(now)).annotate(full_rollout=full_rollout)
    rows = list(possible.values_list("pk", "key", "project_id", "full_rollout"))
    if not rows:
        return []
    calls = last_calls([(pk, key) for pk, key, _, _ in rows], project_id=rows[0][2])
    return [pk for pk, _, _, full in rows if is_stale(calls.get(pk), fully_rolled_out=full, now=now)]

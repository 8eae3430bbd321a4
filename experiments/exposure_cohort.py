"""The cohort of the users whom an experiment has exposed."""

from collections.abc import Mapping
from typing import Any

from activity import recorder
from cohorts.models import Cohort
from cohorts.services import defer_calculation
from common.errors import Invalid, InvalidState
from experiments import parameters
from experiments.models import Experiment
from projects.models import User

DEFAULT_EVENT = "$feature_flag_called"
SCOPE = "Cohort"
_FIELDS = ("name", "is_static", "filters")
# The filters of a custom exposure that also make sense for one person's events.
_KEPT_FILTER_TYPES = frozenset({"event", "feature", "element", "hogql"})


def create_exposure_cohort(experiment: Experiment, *, user: User) -> Cohort:
    """A dynamic cohort of a locked experiment's exposed users, linked to it and waiting for its first calculation.

    Raises Invalid (attr None) when the experiment has no live flag, has not started, has such a cohort already, or
    when its exposure names an action by something that is no id.
    """
    if experiment.feature_flag.deleted:
        raise InvalidState("Experiment does not have a feature flag")
    if experiment.start_date is None:
        raise InvalidState("Experiment does not have a start date")
    if experiment.exposure_cohort is not None and not experiment.exposure_cohort.deleted:
        raise InvalidState("Experiment already has an exposure cohort")
    cohort = Cohort.objects.create(
        project=experiment.project,
        name=f'Users exposed to experiment "{experiment.name}"',
        filters={"properties": {"type": "OR", "values": [{"type": "OR", "values": [_exposure_leaf(experiment)]}]}},
        is_calculating=True,
        pending_version=1,
        created_by=user,
    )
    recorder.record(
        project=experiment.project,
        user=user,
        scope=SCOPE,
        item_id=cohort.pk,
        activity="created",
        name=cohort.name,
        changes=recorder.changes_between(
            scope=SCOPE, before=None, after={name: getattr(cohort, name) for name in _FIELDS}, fields=_FIELDS
        ),
    )
    experiment.exposure_cohort = cohort
    experiment.save(update_fields=["exposure_cohort", "updated_at"])
    defer_calculation(cohort.pk)
    return cohort


def _exposure_leaf(experiment: Experiment) -> dict[str, Any]:
    key, event_type, filters = _exposure(experiment)
    start = experiment.start_date
    return {
        "type": "behavioral",
        "value": "performed_event",
        "key": key,
        "negation": False,
        "event_type": event_type,
        "event_filters": filters,
        "explicit_datetime": None if start is None else start.isoformat(),
    }


def _exposure(experiment: Experiment) -> tuple[str | int, str, list[Any]]:
    """What exposes a user: an event name or action id, `events` or `actions`, and filters on the event."""
    config = (experiment.exposure_criteria or {}).get("exposure_config")
    if config:
        if config["kind"] == "ActionsNode":
            return config["id"], "actions", config.get("properties") or []
        return config["event"], "events", config.get("properties") or []
    custom = _custom_exposure(experiment.parameters.get(parameters.EXPOSURE_FILTER) or {})
    if custom is not None:
        return custom
    flag = {
        "key": "$feature_flag",
        "value": [experiment.feature_flag.plain_key],
        "operator": "exact",
        "type": "event",
    }
    return DEFAULT_EVENT, "events", [flag]


def _custom_exposure(custom: Mapping[str, Any]) -> tuple[str | int, str, list[Any]] | None:
    """The first event, else the first action of a `custom_exposure_filter`; None when it names neither."""
    events, actions = (_entities(custom.get(name)) for name in ("events", "actions"))
    if events and isinstance(events[0].get("id"), str):
        return events[0]["id"], "events", _event_filters(events[0])
    if actions:
        return _action_id(actions[0].get("id")), "actions", _event_filters(actions[0])
    return None


def _entities(value: Any) -> list[Mapping[str, Any]]:
    return [entity for entity in value if isinstance(entity, dict)] if isinstance(value, list) else []


def _action_id(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Invalid("Invalid action ID")
    return value


def _event_filters(entity: Mapping[str, Any]) -> list[Any]:
    properties = entity.get("properties")
    if not isinstance(properties, list):
        return []
    return [sent for sent in properties if isinstance(sent, dict) and sent.get("type", "event") in _KEPT_FILTER_TYPES]

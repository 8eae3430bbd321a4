"""What an experiment writes into its flag: variants, rollout, aggregation, payloads, holdout, and the shipped variant.

Every function takes stored filters and returns new ones; nothing here touches a row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from experiments import parameters, variants
from experiments.models import ExperimentHoldout
from feature_flags.validation.aggregation import with_aggregation_moved
from feature_flags.validation.groups import first_rollout
from feature_flags.validation.variants import variants_of

OMITTED: Any = object()

_AGGREGATION = parameters.AGGREGATION
_ROLLOUT = parameters.ROLLOUT

SHIPPED_GROUP: Mapping[str, Any] = {
    "properties": [],
    "rollout_percentage": 100,
    "description": "Added automatically when the experiment was ended to keep only one variant.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagSettings:
    """What a request says of its flag; OMITTED is what it does not speak of."""

    variants: list[dict[str, Any]] = OMITTED
    rollout: float | None = OMITTED
    aggregation: int | None = OMITTED
    payloads: dict[str, str] = OMITTED
    continuity: bool | None = OMITTED

    def overlaid_by(self, other: "FlagSettings") -> "FlagSettings":
        """These settings with those of `other` in place of the same ones."""
        merged = {field.name: getattr(self, field.name) for field in fields(self)}
        merged |= {name: value for name in merged if (value := getattr(other, name)) is not OMITTED}
        return FlagSettings(**merged)

    @property
    def is_empty(self) -> bool:
        return all(getattr(self, field.name) is OMITTED for field in fields(self))


def settings_of_parameters(document: Mapping[str, Any]) -> FlagSettings:
    """What parameters say of an existing flag: with variants also its aggregation, which is none where absent."""
    with_variants = parameters.VARIANTS in document
    return FlagSettings(
        variants=document.get(parameters.VARIANTS, OMITTED),
        rollout=document.get(_ROLLOUT, OMITTED),
        aggregation=document.get(_AGGREGATION, None if with_variants else OMITTED),
    )


def settings_of_new_flag(document: Mapping[str, Any]) -> FlagSettings:
    """What parameters say of a flag about to be created: also payloads and continuity."""
    return FlagSettings(
        variants=document.get(parameters.VARIANTS, OMITTED),
        rollout=document.get(_ROLLOUT, OMITTED),
        aggregation=document.get(_AGGREGATION, OMITTED),
        payloads=document.get(parameters.PAYLOADS, OMITTED),
        continuity=document.get(parameters.CONTINUITY, OMITTED),
    )


def agreeing(document: Mapping[str, Any], settings: FlagSettings) -> dict[str, Any]:
    """Parameters whose word on the flag is that of `settings`, which win; what the parameters do not name stays so."""
    said = {
        parameters.VARIANTS: settings.variants,
        _ROLLOUT: settings.rollout,
        _AGGREGATION: settings.aggregation,
    }
    return dict(document) | {name: value for name, value in said.items() if name in document and value is not OMITTED}


def holdout_part(holdout: ExperimentHoldout | None) -> dict[str, Any] | None:
    """The `holdout` of a flag's filters."""
    if holdout is None:
        return None
    return {"id": holdout.pk, "exclusion_percentage": holdout.exclusion_percentage}


def new_filters(settings: FlagSettings, *, holdout: ExperimentHoldout | None) -> dict[str, Any]:
    """The filters of an experiment's new flag. Raises Invalid when the variants' weights are incomplete."""
    chosen = variants.default_variants() if settings.variants is OMITTED else settings.variants
    variants.check_weights(chosen)
    filters: dict[str, Any] = {
        "groups": [{"properties": [], "rollout_percentage": _rollout(settings.rollout)}],
        "multivariate": {"variants": chosen},
        _AGGREGATION: None if settings.aggregation is OMITTED else settings.aggregation,
        "holdout": holdout_part(holdout),
    }
    if settings.payloads is not OMITTED:
        filters["payloads"] = settings.payloads
    return filters


def _rollout(rollout: Any) -> Any:
    return 100 if rollout is OMITTED or rollout is None else rollout


def changed_filters(filters: Mapping[str, Any], settings: FlagSettings, *, holdout: Any = OMITTED) -> dict[str, Any]:
    """Stored filters with these settings, and `holdout` when given, written in; all else stays.

    Payloads of removed variants go. Raises Invalid when the variants' weights are incomplete.
    """
    changed = dict(filters)
    groups: Sequence[dict[str, Any]] = filters.get("groups", [])
    if settings.variants is not OMITTED:
        variants.check_weights(settings.variants)
        changed["multivariate"] = {"variants": settings.variants}
        kept = {variant["key"] for variant in settings.variants}
        if "payloads" in changed:
            changed["payloads"] = {key: text for key, text in changed["payloads"].items() if key in kept}
    if settings.payloads is not OMITTED:
        changed["payloads"] = settings.payloads
    if settings.aggregation is not OMITTED and settings.aggregation != filters.get(_AGGREGATION):
        changed[_AGGREGATION] = settings.aggregation
        groups = with_aggregation_moved(list(groups), before=filters.get(_AGGREGATION), after=settings.aggregation)
    if settings.rollout is not OMITTED and _rollout(settings.rollout) != first_rollout(filters):
        first = dict(groups[0]) if groups else {"properties": []}
        groups = [{**first, "rollout_percentage": _rollout(settings.rollout)}, *groups[1:]]
    if groups:
        changed["groups"] = groups
    if holdout is not OMITTED and holdout != filters.get("holdout"):
        changed["holdout"] = holdout
    return changed


def shipped_filters(filters: Mapping[str, Any], *, variant_key: str, release_to_everyone: bool) -> dict[str, Any]:
    """Filters in which one variant has all the weight.

    With `release_to_everyone` everybody gets it, whatever the other groups say, and the holdout ends; without it
    only the weights change.
    """
    shipped = [_weighted(variant, 100 if variant["key"] == variant_key else 0) for variant in variants_of(filters)]
    if not release_to_everyone:
        return {**filters, "multivariate": {"variants": shipped}}
    groups = list(filters.get("groups", []))
    if not groups or not _is_shipped_group(groups[0]):
        groups = [dict(SHIPPED_GROUP), *groups]
    return {
        "groups": groups,
        "multivariate": {"variants": shipped},
        "payloads": filters.get("payloads", {}),
        _AGGREGATION: filters.get(_AGGREGATION),
    }


def _weighted(variant: Mapping[str, Any], percentage: int) -> dict[str, Any]:
    named = {"name": variant["name"]} if variant.get("name") else {}
    return {"key": variant["key"], **named, "rollout_percentage": percentage}


def _is_shipped_group(group: Mapping[str, Any]) -> bool:
    # The flag writes its aggregation into each group.
    return {key: value for key, value in group.items() if key != _AGGREGATION} == SHIPPED_GROUP

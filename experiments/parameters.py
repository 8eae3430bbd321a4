"""`parameters`: an open document in which a few keys have a meaning.

What it says of the running time calculator and of excluded variants is kept once, in the experiment's own fields;
the read form repeats it here. The read form is stored beside the document (`shown_parameters`), so that reading
computes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common import documents
from common.errors import Invalid
from experiments import excluded_variants, running_time_calculation
from experiments.models import Experiment
from experiments.variants import is_percentage, parse_variants, with_split_percent
from feature_flags.validation.groups import first_rollout
from feature_flags.validation.structure import MAX_GROUP_TYPE_INDEX
from feature_flags.validation.variants import variants_of

ATTR = "parameters"
VARIANTS = "feature_flag_variants"
ROLLOUT = "rollout_percentage"
AGGREGATION = "aggregation_group_type_index"
CONTINUITY = "ensure_experience_continuity"
PAYLOADS = "feature_flag_payloads"
EXCLUDED = "excluded_variants"
EXPOSURE_FILTER = "custom_exposure_filter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Parameters as sent, split: the document that is stored, and what belongs into fields of its own.

    `excluded_variants` is None when the parameters do not speak of them.
    """

    document: dict[str, Any]
    running_time_calculation: dict[str, Any]
    excluded_variants: list[str] | None


def parse_parameters(sent: Any) -> Parameters:
    """Raises Invalid, attr `parameters`, for a known key with an unusable value. Null means `{}`."""
    if sent is None:
        sent = {}
    if not isinstance(sent, dict):
        raise Invalid(f"{ATTR} must be an object", attr=ATTR)
    running_time_calculation.check_values(sent, attr=ATTR)
    moved = running_time_calculation.KEYS | {EXCLUDED}
    document = {key: value for key, value in sent.items() if key not in moved}
    if VARIANTS in document:
        document[VARIANTS] = parse_variants(document[VARIANTS], attr=ATTR)
    _check_rollout(document)
    _check_aggregation(document)
    if not isinstance(document.get(CONTINUITY), bool | None):
        raise Invalid(f"{CONTINUITY} must be a boolean", attr=ATTR)
    if PAYLOADS in document:
        document[PAYLOADS] = _payloads(document[PAYLOADS])
    if not isinstance(document.get(EXPOSURE_FILTER), dict | None):
        raise Invalid(f"{EXPOSURE_FILTER} must be an object", attr=ATTR)
    return Parameters(
        document=document,
        running_time_calculation={key: sent[key] for key in sent if key in running_time_calculation.KEYS},
        excluded_variants=excluded_variants.parse(sent[EXCLUDED], attr=ATTR) if EXCLUDED in sent else None,
    )


def _check_rollout(document: Mapping[str, Any]) -> None:
    rollout = document.get(ROLLOUT)
    if rollout is not None and not is_percentage(rollout):
        raise Invalid(f"{ROLLOUT} must be a number between 0 and 100", attr=ATTR)


def _check_aggregation(document: Mapping[str, Any]) -> None:
    index = document.get(AGGREGATION)
    is_index = isinstance(index, int) and not isinstance(index, bool) and 0 <= index <= MAX_GROUP_TYPE_INDEX
    if index is not None and not is_index:
        raise Invalid(f"{AGGREGATION} must be an integer between 0 and {MAX_GROUP_TYPE_INDEX}", attr=ATTR)


def _payloads(sent: Any) -> dict[str, str]:
    if not isinstance(sent, dict):
        raise Invalid(f"{PAYLOADS} must be an object", attr=ATTR)
    return {key: value if isinstance(value, str) else documents.dumps(value) for key, value in sent.items()}


def shown(experiment: Experiment) -> dict[str, Any]:
    """The read form: the stored document, completed from the experiment's own fields and from its flag."""
    filters = experiment.feature_flag.filters
    form = dict(experiment.parameters)
    stored = form.get(VARIANTS)
    form[VARIANTS] = with_split_percent(variants_of(filters) if stored is None else stored)
    if form.get(AGGREGATION) is None and filters.get(AGGREGATION) is not None:
        form[AGGREGATION] = filters[AGGREGATION]
    form |= experiment.running_time_calculation
    if experiment.excluded_variants:
        form[EXCLUDED] = experiment.excluded_variants
    return form


def following_flag(document: Mapping[str, Any], filters: Mapping[str, Any], *, with_rollout: bool) -> dict[str, Any]:
    """Stored parameters that say of variants and aggregation what the flag's filters say.

    `with_rollout` does the same to a stored rollout, which goes when the flag has no group.
    """
    followed = {**document, VARIANTS: variants_of(filters)}
    said = {AGGREGATION: filters.get(AGGREGATION)}
    if with_rollout and ROLLOUT in document:
        said[ROLLOUT] = first_rollout(filters)
    for name, value in said.items():
        if value is None:
            followed.pop(name, None)
        else:
            followed[name] = value
    return followed

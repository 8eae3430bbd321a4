"""Who is compared with whom, and from when to when: what all metrics of an experiment share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from common.errors import Invalid
from events.store.plans import ExposurePlan, MultipleVariants
from experiments.models import Experiment
from experiments.results.selections import Selections
from feature_flags.validation.variants import variants_of
from projects.models import Project

# No event is older or newer; beyond them time zones and lookbacks leave the calendar.
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
# How the caller wants exposures to be read; None leaves it to the experiment.
PrecomputationMode = Literal["precomputed", "direct"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The arms and the window of one computation. `shares` are the rollout percentages of the analysed variants."""

    exposure: ExposurePlan
    shares: Mapping[str, float]
    is_open: bool

    @property
    def variants(self) -> tuple[str, ...]:
        return self.exposure.variants


def design_of(experiment: Experiment, *, now: datetime) -> Design:
    """The design of a started experiment as of `now`, or of its end if that is earlier.

    Raises Invalid when no variant is left to analyse, or when the criteria cannot be computed.
    """
    if experiment.start_date is None:
        raise TypeError("a draft has no window")
    filters = experiment.feature_flag.filters
    return make_design(
        project=experiment.project,
        flag_key=experiment.feature_flag.plain_key,
        variants=variants_of(filters),
        unit_group=filters.get("aggregation_group_type_index"),
        criteria=experiment.exposure_criteria,
        excluded=experiment.excluded_variants,
        start=experiment.start_date,
        end=experiment.end_date,
        now=now,
    )


def make_design(
    *,
    project: Project,
    flag_key: str,
    variants: Sequence[Mapping[str, Any]],
    unit_group: int | None,
    criteria: Mapping[str, Any] | None,
    excluded: Sequence[str],
    start: datetime,
    end: datetime | None,
    now: datetime,
) -> Design:
    """A design from its parts, stored or sent; see `design_of`."""
    analysed = {
        variant["key"]: float(variant["rollout_percentage"]) for variant in variants if variant["key"] not in excluded
    }
    if not analysed:
        raise Invalid("Feature flag has no variants")
    criteria = criteria or {}
    select = Selections(project)
    exposure, activation = criteria.get("exposure_config"), criteria.get("activation_config")
    tested = criteria.get("filterTestAccounts", True)
    handling = criteria.get("multiple_variant_handling")
    return Design(
        exposure=ExposurePlan(
            project_id=project.pk,
            flag_key=flag_key,
            variants=tuple(analysed),
            start=min(max(start, EARLIEST), LATEST),
            end=now if end is None or end > now else max(end, EARLIEST),
            zone=project.timezone,
            handling=MultipleVariants(handling or MultipleVariants.EXCLUDE),
            selection=select.of_config(exposure) if exposure else None,
            # An activation completes a flag call; a custom exposure is complete by itself.
            activation=select.of_config(activation) if activation and not exposure else None,
            test_account_conditions=select.conditions(project.test_account_filters) if tested else (),
            unit_group=unit_group,
        ),
        shares=analysed,
        is_open=end is None or end > now,
    )

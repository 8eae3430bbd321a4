"""What identifies a computation: one frozen value, whose digest names the stored answer."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from common.datetimes import format_datetime
from experiments.models import Experiment
from experiments.results.design import Design
from experiments.results.health import minimum_detectable_effect

# Changed whenever the same events would give other numbers.
ENGINE = 2
ASKED_EXPOSURES = "asked exposures"
_OPEN = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisSpec:
    """Everything that an answer depends on but the events. `digest` is the same for equal values only.

    `asked` is what of it was asked for; the rest is how the experiment was set up then.
    """

    experiment_id: int
    kind: str
    design: Design
    parts: tuple[Any, ...]
    asked: tuple[Any, ...] = ()

    @property
    def digest(self) -> str:
        """64 hexadecimal digits."""
        exposure = self.design.exposure
        if self.design.is_open:
            # It ends whenever it is computed.
            exposure = replace(exposure, end=_OPEN)
        value = {
            "engine": ENGINE,
            "experiment": self.experiment_id,
            "kind": self.kind,
            "exposure": asdict(exposure),
            "shares": dict(self.design.shares),
            "parts": self.parts,
        }
        return _digest(value)

    @property
    def question(self) -> str:
        """64 hexadecimal digits: those of all answers of the experiment to the same question."""
        return _digest([self.kind, *self.asked])

    @property
    def is_final(self) -> bool:
        """Whether the experiment's own window is closed; one that somebody asked for says nothing of that."""
        return self.kind != ASKED_EXPOSURES and not self.design.is_open


def spec_of(
    experiment: Experiment, *, kind: str, design: Design, documents: Sequence[Any], breakdown: Sequence[str] | None
) -> AnalysisSpec:
    """The spec of an answer about these metric documents of an experiment, with their resolved actions."""
    flag = experiment.feature_flag
    return AnalysisSpec(
        experiment_id=experiment.pk,
        kind=kind,
        design=design,
        parts=(
            documents,
            breakdown,
            experiment.stats_config,
            experiment.only_count_matured_users,
            sorted(experiment.excluded_variants),
            minimum_detectable_effect(experiment),
            (flag.active, flag.deleted),
            # Some warnings are for experiments that run. An end in the future leaves the window open.
            experiment.end_date is None,
        ),
        asked=(breakdown,),
    )


def _digest(value: Any) -> str:
    text = json.dumps(value, default=_plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return "open" if value == _OPEN else format_datetime(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)

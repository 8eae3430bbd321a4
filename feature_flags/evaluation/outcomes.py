"""What an evaluation answers, and why."""

from dataclasses import dataclass
from typing import Final

CONDITION_MATCH: Final = "condition_match"
NO_CONDITION_MATCH: Final = "no_condition_match"
OUT_OF_ROLLOUT_BOUND: Final = "out_of_rollout_bound"
NO_GROUP_TYPE: Final = "no_group_type"
SUPER_CONDITION_VALUE: Final = "super_condition_value"
HOLDOUT_CONDITION_VALUE: Final = "holdout_condition_value"
MISSING_DEPENDENCY: Final = "missing_dependency"
DISABLED: Final = "disabled"
# The flag itself cannot be evaluated.
COHORT_NOT_FOUND: Final = "dependency_not_found_cohort"
FLAG_CYCLE: Final = "dependency_cycle_flag"
COHORT_CYCLE: Final = "dependency_cycle_cohort"
UNREADABLE: Final = "database_error"

_DESCRIPTIONS: Final = {
    OUT_OF_ROLLOUT_BOUND: "Out of rollout bound",
    NO_GROUP_TYPE: "No group type",
    SUPER_CONDITION_VALUE: "Super condition value",
    HOLDOUT_CONDITION_VALUE: "Holdout condition value",
    MISSING_DEPENDENCY: "Flag cannot be evaluated due to missing dependency",
    DISABLED: "Feature flag is disabled",
}


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The answer of one flag for one subject.

    Few answers of a flag are possible. Each is made once, when the flag is compiled, and is of that flag alone: what
    has been written of an answer can be found by the object, which hashes faster than its fields would.

    `variant` is None for a boolean answer. `condition_index` is the position of the deciding group, None where none
    decided. `failed` says that the flag could not be evaluated; it is then not enabled. `lacked_group` says that some
    group of conditions was passed over because the subject names no group of its type.
    """

    enabled: bool
    reason: str
    variant: str | None = None
    condition_index: int | None = None
    failed: bool = False
    lacked_group: bool = False

    @property
    def value(self) -> str | bool:
        """The variant, else whether it is enabled."""
        return self.enabled if self.variant is None else self.variant

    @property
    def description(self) -> str | None:
        """The reason as a sentence; None for a failed flag."""
        if self.reason == CONDITION_MATCH and self.condition_index is not None:
            return f"Matched condition set {self.condition_index + 1}"
        if self.reason == NO_CONDITION_MATCH:
            lacking = " (group conditions were not evaluated because no group type was provided)"
            return "No matching condition set" + (lacking if self.lacked_group else "")
        return _DESCRIPTIONS.get(self.reason)


def failure(reason: str) -> Evaluation:
    """The answer of a flag that cannot be evaluated."""
    return Evaluation(False, reason, failed=True)

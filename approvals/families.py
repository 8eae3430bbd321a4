"""What can be gated, and which policies decide about it. Words only: what trips a family is for its owner to say."""

from collections.abc import Mapping
from enum import StrEnum


class Family(StrEnum):
    """A kind of change that one policy decides about."""

    ENABLE = "enable"
    DISABLE = "disable"
    UPDATE = "update"
    HOLDOUT_UPDATE = "holdout_update"
    HOLDOUT_DELETE = "holdout_delete"


# In lookup order: the first key with an enabled policy decides alone.
POLICY_KEYS: Mapping[Family, tuple[str, ...]] = {
    Family.ENABLE: ("experiment.launch", "feature_flag.enable"),
    Family.DISABLE: ("experiment.pause", "feature_flag.disable"),
    Family.UPDATE: ("experiment.update", "feature_flag.update"),
    Family.HOLDOUT_UPDATE: ("experiment_holdout.update", "experiment.update", "feature_flag.update"),
    Family.HOLDOUT_DELETE: ("experiment_holdout.delete", "experiment.update", "feature_flag.update"),
}
ACTION_KEYS: tuple[str, ...] = tuple(dict.fromkeys(key for keys in POLICY_KEYS.values() for key in keys))


def is_for_experiments(key: str) -> bool:
    """Whether a policy of this key counts only where an experiment is concerned."""
    return key.startswith("experiment.")

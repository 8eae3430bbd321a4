"""Who uses a flag? The app above tells: it registers once, in its `AppConfig.ready()`.

Flags know nothing of experiments, yet a flag in use may not lose its variants or be deleted, and what an experiment
keeps of its flag's configuration must follow each change of it. Everything asked or told goes through the functions
of one `FlagUsers`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from django.db.models import Q

if TYPE_CHECKING:
    from feature_flags.models import FeatureFlag


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedExperiment:
    """An experiment row that refers to a flag; soft-deleted ones are told too."""

    id: int
    name: str
    status: Literal["draft", "running", "stopped"]
    deleted: bool

    @property
    def is_running(self) -> bool:
        """Started and not ended, so paused ones too."""
        return self.status == "running"

    @property
    def holds_flag(self) -> bool:
        """Whether the flag must stay: a draft will need it, a running or paused one does."""
        return not self.deleted and self.status != "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagUsers:
    """What the users of flags must be able to answer and to hear.

    linked: all experiment rows per flag id, in ascending id; one query whatever the number of flags.
    lock: lock the experiment rows of these flags in ascending id. Called before the flag row is locked.
    configuration_changed: the flag's variants, aggregation index or first rollout (the argument says whether that
        one) have just been written. Called in the transaction of the change, with the experiment rows locked.
    named_like: the condition on FeatureFlag that a live experiment on it has this text in its name.
    in_use: the condition on FeatureFlag that a live experiment, drafts included, is on it.
    """

    linked: Callable[[Collection[int]], Mapping[int, list[LinkedExperiment]]]
    lock: Callable[[Collection[int]], None]
    configuration_changed: Callable[["FeatureFlag", bool], None]
    named_like: Callable[[str], Q]
    in_use: Callable[[], Q]


_NOBODY = FlagUsers(
    linked=lambda flag_ids: {},
    lock=lambda flag_ids: None,
    configuration_changed=lambda flag, first_rollout_changed: None,
    named_like=lambda text: Q(pk__in=()),
    in_use=lambda: Q(pk__in=()),
)
_users = _NOBODY


def register(users: FlagUsers) -> None:
    """Make `users` the one that is asked and told from now on."""
    global _users  # noqa: PLW0603  (set once, when the applications are ready)
    _users = users


def linked(flag_ids: Collection[int]) -> Mapping[int, list[LinkedExperiment]]:
    """The experiment rows on these flags; flags without any may be missing."""
    return _users.linked(flag_ids) if flag_ids else {}


def linked_to(flag_id: int) -> list[LinkedExperiment]:
    """The experiment rows on one flag."""
    return linked([flag_id]).get(flag_id, [])


def lock(flag_ids: Collection[int]) -> None:
    """Lock the experiment rows on flags whose own rows are not locked yet."""
    _users.lock(flag_ids)


def configuration_changed(flag: "FeatureFlag", *, first_rollout_changed: bool) -> None:
    """Tell that the flag's variants, aggregation index or first rollout were written."""
    _users.configuration_changed(flag, first_rollout_changed)


def named_like(text: str) -> Q:
    """Flags with a live experiment whose name contains `text`, in any case."""
    return _users.named_like(text)


def in_use() -> Q:
    """Flags with a live experiment."""
    return _users.in_use()

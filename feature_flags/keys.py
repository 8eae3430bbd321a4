"""Flag keys: their form, and to whom a key belongs that a soft-deleted flag still holds."""

import re

from common.errors import Invalid
from feature_flags import usage
from feature_flags.models import FeatureFlag
from projects.models import Project

_FORM = re.compile(r"[a-zA-Z0-9_-]+")
MAX_LENGTH = 400


class KeyTaken(Invalid):
    """A live flag of the project has the key."""

    def __init__(self) -> None:
        super().__init__("There is already a feature flag with this key.", code="unique", attr="key")


def check_key(key: str) -> None:
    """Raise Invalid unless the key is made of the characters a key may have."""
    if not _FORM.fullmatch(key):
        raise Invalid(
            "Only letters, numbers, hyphens (-) & underscores (_) are allowed.", code="invalid_key", attr="key"
        )
    if len(key) > MAX_LENGTH:
        raise Invalid(f"Ensure this field has no more than {MAX_LENGTH} characters.", code="max_length", attr="key")


def deleted_key(key: str, flag_id: int) -> str:
    """The key a soft-deleted flag bears so that its own becomes free."""
    return f"{key}:deleted:{flag_id}"


def free_key(*, project: Project, key: str) -> None:
    """Make `key` usable in the project: a soft-deleted holder is removed, or renamed while experiments refer to it.

    Raises KeyTaken when a live flag has the key, Invalid while an experiment that needs the deleted flag points at
    it. Call it in the transaction of the write that takes the key.
    """
    holder = FeatureFlag.objects.select_for_update(of=("self",)).filter(project=project, key=key).first()
    if holder is None:
        return
    if not holder.deleted:
        raise KeyTaken
    experiments = usage.linked_to(holder.pk)
    needed_by = [str(experiment.id) for experiment in experiments if experiment.holds_flag]
    if needed_by:
        raise Invalid(
            f"Cannot reuse key '{key}': a soft-deleted flag with this key is still referenced by active "
            f"experiment(s) with ID(s): {', '.join(needed_by)}",
            attr="key",
        )
    if experiments:
        FeatureFlag.objects.filter(pk=holder.pk).update(key=deleted_key(key, holder.pk))
    else:
        holder.delete()


def restored_key(flag: FeatureFlag) -> str:
    """The key of a flag that comes back: its own, else its own with the first free number behind it."""
    plain = flag.plain_key
    if flag.key == plain:
        return plain
    candidate, number = plain, 1
    while True:
        try:
            free_key(project=flag.project, key=candidate)
        except Invalid:
            number += 1
            suffix = f"-{number}"
            candidate = plain[: MAX_LENGTH - len(suffix)] + suffix
        else:
            return candidate

"""Whether a flag may be in a state, and whether it may get there now."""

from collections.abc import Mapping
from typing import Any

from common.errors import Invalid
from feature_flags import dependents, usage
from feature_flags.models import BucketingIdentifier, FeatureFlag
from feature_flags.validation.dependencies import dependencies_of

_FIELDS = (
    "active",
    "archived",
    "ensure_experience_continuity",
    "bucketing_identifier",
    "is_remote_configuration",
    "has_encrypted_payloads",
)


def check_new(flag: FeatureFlag) -> None:
    """Raise Invalid when a flag about to be created contradicts itself."""
    _check_archived(flag.active, flag.archived, was_archived=False)
    _check_combination({name: getattr(flag, name) for name in _FIELDS})


def check_change(flag: FeatureFlag, after: Mapping[str, Any]) -> None:
    """Raise Invalid when `flag` may not become what `after` says. Contradictions it already has are no obstacle."""
    _check_archived(after["active"], after["archived"], was_archived=flag.archived)
    if any(after[name] != getattr(flag, name) for name in _FIELDS):
        _check_combination(after)
    if flag.active and not after["active"] and not flag.deleted:
        dependents.lock_graph(flag.project_id)
        dependents.refuse_disabling(flag)
    if after["active"] and not flag.active:
        dependencies = dependencies_of(after["filters"])
        if dependencies:
            dependents.lock_graph(flag.project_id)
            dependents.refuse_enabling(dependencies, dependents.known_flags(flag.project_id, dependencies))


def _check_archived(active: bool, archived: bool, *, was_archived: bool) -> None:
    if not (active and archived):
        return
    if was_archived:
        raise Invalid("Cannot enable an archived feature flag. Unarchive it first.")
    raise Invalid(
        "Cannot archive an enabled feature flag. Disable it first, or send active: false in the same request."
    )


def _check_combination(fields: Mapping[str, Any]) -> None:
    if fields["ensure_experience_continuity"] and fields["bucketing_identifier"] == BucketingIdentifier.DEVICE_ID:
        raise Invalid(
            "Cannot enable 'persist across authentication steps' when using device ID bucketing. "
            "These features are incompatible."
        )
    if fields["has_encrypted_payloads"] and not fields["is_remote_configuration"]:
        raise Invalid("Encrypted payloads require the flag to be a remote configuration.")


def refuse_deleting(flag: FeatureFlag) -> None:
    """Raise Invalid while experiments need the flag or active flags depend on it."""
    needed_by = [str(experiment.id) for experiment in usage.linked_to(flag.pk) if experiment.holds_flag]
    if needed_by:
        raise Invalid(
            "Cannot delete a feature flag that is linked to active experiment(s) with ID(s): "
            f"{', '.join(needed_by)}. Please delete the experiment(s) before deleting the flag."
        )
    dependents.lock_graph(flag.project_id)
    dependents.refuse_deleting(flag)

"""What a flag's filters become: the sent part laid over the stored one, in normal form, by the rules."""

from collections.abc import Mapping
from typing import Any

from cohorts.models import Cohort
from common.documents import same_document
from common.errors import Invalid
from feature_flags import dependents, encryption, usage
from feature_flags.models import FeatureFlag
from feature_flags.validation import check, parse, with_aggregation_copied
from feature_flags.validation.aggregation import with_aggregation_moved
from feature_flags.validation.cohorts import KnownCohort, check_cohorts, cohort_references, nested_cohorts
from feature_flags.validation.dependencies import check_dependencies, check_references, dependencies_of
from feature_flags.validation.groups import first_rollout, for_remote_configuration, require_a_group
from feature_flags.validation.payloads import BOOLEAN_KEY
from feature_flags.validation.structure import check_size
from feature_flags.validation.variants import variant_keys, variants_of

_AGGREGATION = "aggregation_group_type_index"


def new_filters(
    sent: Any, *, key: str, project_id: int, is_remote_configuration: bool, has_encrypted_payloads: bool
) -> dict[str, Any]:
    """The filters of a flag to be created, as they are stored."""
    filters = parse(sent)
    if is_remote_configuration:
        filters = for_remote_configuration(filters)
    else:
        require_a_group(filters)
    if has_encrypted_payloads:
        _require_payload(filters)
    filters = _checked(filters, key=key, project_id=project_id, flag_id=None, stored=frozenset())
    return encryption.sealed(filters, stored=None) if has_encrypted_payloads else filters


def changed_filters(flag: FeatureFlag, sent: Any, *, after: Mapping[str, Any], replace: bool = False) -> dict[str, Any]:
    """The filters of a stored flag, as they are to be stored, once `sent` and the other fields of `after` apply.

    Top-level keys of `sent` replace the stored ones, others stay; with `replace` nothing stays. Stored filters are
    answered as they are when nothing of them changes.
    """
    stored = encryption.opened(flag.filters) if flag.has_encrypted_payloads else flag.filters
    new = parse(sent)
    filters = {**({} if replace else stored), **new}
    if _AGGREGATION in new and "groups" not in new and "groups" in filters:
        filters["groups"] = with_aggregation_moved(
            filters["groups"], before=stored.get(_AGGREGATION), after=new[_AGGREGATION]
        )
    filters = _with_payload_kept(flag, filters, stored, sent=new, encrypted=after["has_encrypted_payloads"])
    if after["is_remote_configuration"]:
        filters = for_remote_configuration(filters)
    if not same_document(filters, stored):
        filters = _checked(
            filters,
            key=after["key"],
            project_id=flag.project_id,
            flag_id=flag.pk,
            stored=dependencies_of(flag.filters),
        )
        _refuse_losing_variants(flag, filters)
    if after["has_encrypted_payloads"]:
        filters = encryption.sealed(filters, stored=flag.filters if flag.has_encrypted_payloads else None)
    return flag.filters if same_document(filters, flag.filters) else filters


def _with_payload_kept(
    flag: FeatureFlag, filters: dict[str, Any], stored: Mapping[str, Any], *, sent: Mapping[str, Any], encrypted: bool
) -> dict[str, Any]:
    """Filters in which an encrypted payload that was not sent anew is the stored one, or gone with the encryption."""
    payload = encryption.payload_of(sent)
    if payload is not None and payload != encryption.MARKER:
        return filters
    if encrypted:
        kept = encryption.payload_of(stored)
        if kept is not None:
            payloads = {name: text for name, text in filters.get("payloads", {}).items() if name != BOOLEAN_KEY}
            filters = {**filters, "payloads": {**payloads, BOOLEAN_KEY: kept}}
        elif payload == encryption.MARKER:
            filters = {**filters, "payloads": {}}
        _require_payload(filters)
    elif flag.has_encrypted_payloads:
        payloads = {name: text for name, text in filters.get("payloads", {}).items() if name != BOOLEAN_KEY}
        filters = {**filters, "payloads": payloads}
    return filters


def _require_payload(filters: Mapping[str, Any]) -> None:
    if encryption.payload_of(filters) in (None, encryption.MARKER):
        raise Invalid("An encrypted payload is required when has_encrypted_payloads is true.")


def _checked(
    filters: dict[str, Any],
    *,
    key: str,
    project_id: int,
    flag_id: int | None,
    stored: frozenset[int],
) -> dict[str, Any]:
    filters = with_aggregation_copied(filters)
    check(filters)
    cohorts = cohort_references(filters)
    if cohorts:
        check_cohorts(cohorts, _known_cohorts(project_id, cohorts))
    check_references(filters)
    dependencies = dependencies_of(filters)
    if dependencies:
        dependents.lock_graph(project_id)
        known = dependents.known_flags(project_id, dependencies)
        check_dependencies(flag_id=flag_id, key=key, dependencies=dependencies, stored=stored, known=known)
    check_size(filters)
    return filters


def _known_cohorts(project_id: int, references: set[int]) -> dict[int, KnownCohort]:
    """The live cohorts referred to and those these refer to; one query for each level of nesting."""
    known: dict[int, KnownCohort] = {}
    wanted = references
    while wanted:
        rows = Cohort.objects.filter(project_id=project_id, deleted=False, pk__in=wanted)
        found = {
            pk: KnownCohort(name=name, is_static=is_static, filters=filters)
            for pk, name, is_static, filters in rows.values_list("pk", "name", "is_static", "filters")
        }
        known |= found
        nested = [nested_cohorts(cohort.filters) for cohort in found.values() if not cohort.is_static]
        wanted = set[int]().union(*nested) - known.keys() - wanted
    return known


def _refuse_losing_variants(flag: FeatureFlag, filters: Mapping[str, Any]) -> None:
    """Raise Invalid when running experiments would lose a variant."""
    remaining = variant_keys(filters)
    lost = [key for key in variant_keys(flag.filters) if key not in remaining]
    if not lost:
        return
    running = [
        experiment for experiment in usage.linked_to(flag.pk) if experiment.is_running and not experiment.deleted
    ]
    if running:
        keys = ", ".join(f"'{key}'" for key in lost)
        names = ", ".join(f'"{experiment.name}" (ID: {experiment.id})' for experiment in running)
        raise Invalid(
            f"Cannot remove variant(s) {keys} from a feature flag that is linked to running experiment(s): {names}. "
            "Please stop the experiment(s) before removing variants."
        )


def tell_users(flag: FeatureFlag, before: Mapping[str, Any]) -> None:
    """Tell the flag's users when what they keep of its configuration has changed."""
    after = flag.filters
    rollout_changed = not same_document(first_rollout(before), first_rollout(after))
    if (
        rollout_changed
        or not same_document(variants_of(before), variants_of(after))
        or before.get(_AGGREGATION) != after.get(_AGGREGATION)
    ):
        usage.configuration_changed(flag, first_rollout_changed=rollout_changed)

"""Every rule of `filters`, one row each, through POST and (where they are about the whole document) PATCH."""

from typing import Any

import pytest

from cohorts.models import Cohort
from feature_flags.models import FeatureFlag
from projects.models import Project
from tests.feature_flags.conftest import CONTROL_AND_TEST, GROUPS, Flags

SUM = "cross_field.variant_rollout_sum_not_100"


def groups(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"groups": [{"properties": []} | group for group in fields]}


def condition(**fields: Any) -> dict[str, Any]:
    return groups({"properties": [{"key": "k", "value": "v", "type": "person"} | fields]})


def variants(*weights: Any, **more: Any) -> dict[str, Any]:
    listed = [{"key": f"v{number}", "rollout_percentage": weight} for number, weight in enumerate(weights)]
    return {"groups": GROUPS, "multivariate": {"variants": listed}} | more


def of_keys(*keys: Any) -> dict[str, Any]:
    listed = [{"key": key, "rollout_percentage": 0} for key in keys]
    listed[0]["rollout_percentage"] = 100
    return {"groups": GROUPS, "multivariate": {"variants": listed}}


VARIANT_KEY = "Only letters, numbers, hyphens (-), underscores (_), dots (.) & slashes (/) are allowed."
PERSON_ONLY = "Person-aggregated conditions can only use person, cohort, and flag properties."
GROUP_ONLY = "Group-aggregated conditions can only use group properties."
GROUP_TYPE = "Group properties must match the condition set's group type."
FLAG_OPERATOR = "Flag properties must use the 'flag_evaluates_to' operator."
PLACE = "groups[0].properties[0]"

RULES: list[tuple[Any, str, str]] = [
    # the type of the document
    (None, "invalid_input", "Filters must be a dictionary, got NoneType"),
    ([], "invalid_input", "Filters must be a dictionary, got list"),
    ("{}", "invalid_input", "Filters must be a dictionary, got str"),
    (
        {"groups": GROUPS, "version": 1},
        "reserved_config_version",
        "filters.version is reserved. Remove it from the request.",
    ),
    # structure
    ({"groups": {}}, "structural.groups.not_a_list", 'groups: Expected a list of items but got type "dict".'),
    ({"groups": None}, "structural.groups.null", "groups: This field may not be null."),
    (
        {"groups": ["x"]},
        "structural.groups.invalid_input",
        "groups[0]: Invalid data. Expected a dictionary, but got str.",
    ),
    (
        groups({}, {"rollout_percentage": "50"}),
        "structural.groups.rollout_percentage.invalid_input",
        "groups[1].rollout_percentage: A valid number is required.",
    ),
    (
        groups({"rollout_percentage": True}),
        "structural.groups.rollout_percentage.invalid_input",
        "groups[0].rollout_percentage: A valid number is required.",
    ),
    (groups({"variant": 5}), "structural.groups.variant.invalid_input", "groups[0].variant: Not a valid string."),
    (
        groups({"aggregation_group_type_index": 5}),
        "structural.groups.aggregation_group_type_index.max_value",
        "groups[0].aggregation_group_type_index: Ensure this value is less than or equal to 4.",
    ),
    (
        {"groups": GROUPS, "aggregation_group_type_index": -1},
        "structural.aggregation_group_type_index.min_value",
        "aggregation_group_type_index: Ensure this value is greater than or equal to 0.",
    ),
    (
        {"groups": GROUPS, "aggregation_group_type_index": "0"},
        "structural.aggregation_group_type_index.invalid_input",
        "aggregation_group_type_index: A valid integer is required.",
    ),
    (
        {"groups": GROUPS, "early_exit": "yes"},
        "structural.early_exit.invalid_input",
        "early_exit: Must be a valid boolean.",
    ),
    (
        groups({"properties": {}}),
        "structural.groups.properties.not_a_list",
        'groups[0].properties: Expected a list of items but got type "dict".',
    ),
    (
        groups({"properties": [{"type": "person", "value": 1}]}),
        "structural.groups.properties.key.required",
        f"{PLACE}.key: This field is required.",
    ),
    (
        groups({"properties": [{"key": "k", "value": 1}]}),
        "structural.groups.properties.type.required",
        f"{PLACE}.type: This field is required.",
    ),
    (
        groups({"properties": [{"key": "k", "type": "person"}]}),
        "structural.groups.properties.value.required",
        f"{PLACE}.value: This field is required.",
    ),
    (condition(key=True), "structural.groups.properties.key.invalid_input", f"{PLACE}.key: Not a valid string."),
    (
        condition(value={"a": 1}),
        "structural.groups.properties.value.invalid_input",
        f"{PLACE}.value: Expected a string, a number, a boolean, null or a list of these.",
    ),
    (
        condition(type="cohort", key="id", value="many"),
        "structural.groups.properties.value.invalid_input",
        f"{PLACE}.value: A valid integer is required.",
    ),
    (
        {"groups": GROUPS, "multivariate": {}},
        "structural.multivariate.variants.required",
        "multivariate.variants: This field is required.",
    ),
    (
        {"groups": GROUPS, "multivariate": {"variants": []}},
        "structural.multivariate.variants.empty",
        "multivariate.variants: This list may not be empty.",
    ),
    (
        {"groups": GROUPS, "multivariate": {"variants": [{"key": "a"}]}},
        "structural.multivariate.variants.rollout_percentage.required",
        "multivariate.variants[0].rollout_percentage: This field is required.",
    ),
    (
        {"groups": GROUPS, "holdout": {"id": "1", "exclusion_percentage": 5}},
        "structural.holdout.id.invalid_input",
        "holdout.id: A valid integer is required.",
    ),
    # percentages
    (
        groups({"rollout_percentage": 101}),
        "invalid_input",
        "groups[0].rollout_percentage must be between 0 and 100, got 101",
    ),
    (
        groups({}, {"rollout_percentage": -0.5}),
        "invalid_input",
        "groups[1].rollout_percentage must be between 0 and 100, got -0.5",
    ),
    # variants
    (of_keys("white space"), "invalid_input", VARIANT_KEY),
    (of_keys("a\n"), "invalid_input", VARIANT_KEY),
    (of_keys(""), "invalid_input", VARIANT_KEY),
    (of_keys("b", "a", "c", "a", "b"), "invalid_input", "Variant keys must be unique, duplicated: a, b"),
    (
        variants(50, 40),
        SUM,
        "multivariate.variants: Variant rollout percentages must sum to 100, got 90.",
    ),
    (
        variants(33.3, 33.3, 33.3),
        SUM,
        "multivariate.variants: Variant rollout percentages must sum to 100, got 99.9.",
    ),
    # payloads
    ({"groups": GROUPS, "payloads": ["x"]}, "invalid_input", "Payloads must be passed as a dictionary"),
    ({"groups": GROUPS, "payloads": "x"}, "invalid_input", "Payloads must be passed as a dictionary"),
    (variants(100, payloads={"x": "1"}), "invalid_input", "Payload key 'x' does not match any variant key."),
    (
        {"groups": GROUPS, "payloads": {"x": "1"}},
        "invalid_input",
        "Payload key 'x' is invalid: boolean flags only support the 'true' key.",
    ),
    ({"groups": GROUPS, "payloads": {"true": "{"}}, "invalid_input", "Payload for key 'true' is not valid JSON."),
    (variants(100, payloads={"v0": "NaN"}), "invalid_input", "Payload for key 'v0' is not valid JSON."),
    # group variants
    (groups({"variant": "x"}), "invalid_input", "Variant override 'x' does not match any variant key."),
    (
        variants(100, groups=[{"properties": [], "variant": "x"}]),
        "invalid_input",
        "Variant override 'x' does not match any variant key.",
    ),
    # property types
    (condition(type="event"), "invalid_input", PERSON_ONLY),
    (condition(type="group", group_type_index=0), "invalid_input", PERSON_ONLY),
    (condition() | {"aggregation_group_type_index": 0}, "invalid_input", GROUP_ONLY),
    (condition(type="group", group_type_index=1) | {"aggregation_group_type_index": 0}, "invalid_input", GROUP_TYPE),
    (condition(type="group") | {"aggregation_group_type_index": 0}, "invalid_input", GROUP_TYPE),
    # operators
    (condition(type="flag", operator="exact", key="1", value=True), "invalid_input", FLAG_OPERATOR),
    (condition(operator="in", value=["a"]), "invalid_input", "Operator in is only supported on cohort properties."),
    (condition(operator="not_in"), "invalid_input", "Operator not_in is only supported on cohort properties."),
    (
        condition(operator="is_cleaned_path_exact"),
        "invalid_input",
        f"{PLACE}.operator: unsupported operator for feature flags",
    ),
    (
        condition(operator="flag_evaluates_to"),
        "invalid_input",
        f"{PLACE}.operator: unsupported operator for feature flags",
    ),
    (
        condition(type="cohort", key="id", value=1, operator="icontains"),
        "invalid_input",
        f"{PLACE}.operator: unsupported operator for feature flags",
    ),
    # values
    (condition(operator="is_date_before", value="soon"), "invalid_input", "Invalid date value: soon."),
    (condition(operator="is_date_after", value="10000d"), "invalid_input", "Invalid date value: 10000d."),
    (condition(operator="is_date_exact", value="2026-13-01"), "invalid_input", "Invalid date value: 2026-13-01."),
    (condition(operator="is_date_exact", value=5), "invalid_input", "Invalid date value: 5."),
    (condition(operator="icontains", value=5), "invalid_input", "Operator icontains requires a string value."),
    (condition(operator="starts_with", value=["a"]), "invalid_input", "Operator starts_with requires a string value."),
    (condition(operator="regex", value=None), "invalid_input", "Operator regex requires a string value."),
    (condition(operator="gt", value=[1]), "invalid_input", "Operator gt requires a string value."),
    (
        condition(operator="icontains_multi", value="a"),
        "invalid_input",
        "Operator icontains_multi requires a list of values.",
    ),
    (condition(operator="between", value=5), "invalid_input", "Operator between requires a list of values."),
    (
        condition(operator="semver_gt", value="abc"),
        "invalid_input",
        "Invalid semver value for operator semver_gt",
    ),
    (
        condition(operator="semver_wildcard", value="1.2.3"),
        "invalid_input",
        "Invalid semver value for operator semver_wildcard",
    ),
    (condition(operator="semver_eq", value=1), "invalid_input", "Invalid semver value for operator semver_eq"),
    (
        groups({}, {"properties": [{"key": "k", "type": "person", "value": "(", "operator": "regex"}]}),
        "invalid_input",
        "groups[1].properties[0].value: invalid regex pattern",
    ),
    (
        condition(operator="not_regex", value=r"(?=a)"),
        "invalid_input",
        f"{PLACE}.value: invalid regex pattern",
    ),
    # cohorts and dependencies
    (
        condition(type="cohort", key="id", value=987654),
        "cohort_does_not_exist",
        "Cohort with id 987654 does not exist",
    ),
    (
        condition(type="flag", key="other-flag", value=True, operator="flag_evaluates_to"),
        "invalid_input",
        "Flag dependencies must reference flag IDs (integers), not flag keys. Invalid reference: 'other-flag'",
    ),
    (
        condition(type="flag", key="987654", value=True, operator="flag_evaluates_to"),
        "invalid_input",
        "Flag dependency references non-existent flag with ID 987654",
    ),
    # size
    (
        {"groups": GROUPS, "payloads": {"true": '"' + "x" * 524288 + '"'}},
        "invalid_input",
        "Feature flag filters exceed maximum size of 512KB",
    ),
]


@pytest.mark.parametrize(("filters", "code", "detail"), RULES, ids=[detail[:60] for _, _, detail in RULES])
def test_rule__broken__is_refused_by_both_doors(flags: Flags, filters: Any, code: str, detail: str) -> None:
    expected = {"type": "validation_error", "code": code, "detail": detail, "attr": "filters"}
    stored = FeatureFlag.objects.create(project=Project.objects.get(), key="stored", filters={"groups": GROUPS})
    created, changed = flags.post(body={"key": "k", "filters": filters}), flags.patch(stored, {"filters": filters})
    assert (created.status_code, created.json()) == (400, expected)
    assert (changed.status_code, changed.json()) == (400, expected)
    assert list(FeatureFlag.objects.values_list("key", "version")) == [("stored", 1)]


@pytest.mark.parametrize("filters", [{}, {"groups": []}, {"payloads": {}}])
def test_create__filters_without_a_group__are_refused(flags: Flags, filters: dict[str, Any]) -> None:
    answer = flags.post(body={"key": "k", "filters": filters})
    assert answer.status_code == 400
    assert answer.json() == {
        "type": "validation_error",
        "code": "invalid_input",
        "detail": "Feature flags must have at least one condition set (group).",
        "attr": "filters",
    }


ACCEPTED: list[dict[str, Any]] = [
    variants(33.33, 33.33, 33.33),
    of_keys("a/b.c-d_E"),
    groups({"rollout_percentage": 0}, {"rollout_percentage": 100}, {"rollout_percentage": 12.5}),
    {"groups": GROUPS, "multivariate": None, "holdout": None, "aggregation_group_type_index": None},
    condition(operator="gt", value=5),
    condition(operator="gt", value="many"),
    condition(operator="exact", value=[]),
    condition(operator="exact", value=None),
    condition(operator="is_date_before", value="-9999y"),
    condition(operator="is_date_before", value="2026-01-01"),
    condition(operator="is_date_before", value="2026-01-01T10:00:00.5+02:00"),
    condition(operator="is_date_before", value="2026-01-01T10:00:00"),
    condition(operator="is_date_before", value="2026-01-01T10:00:00Z"),
    condition(operator="semver_gte", value="v1.2"),
    condition(operator="semver_gt", value="1.2.3-beta.2+build"),
    condition(operator="semver_wildcard", value="1.*"),
    condition(operator="regex", value="^a+$"),
    condition(operator="between", value=[1, 2]),
    condition(type="person_metadata", key="created_at", operator="is_date_after", value="-7d"),
    condition(type="group", group_type_index=0, key="$group_key", aggregation_group_type_index=0)
    | {"aggregation_group_type_index": 0},
    groups({"properties": [{"key": "email", "type": "person", "operator": "is_set"}]}),
    {"groups": GROUPS, "payloads": {"true": "null"}},
]


@pytest.mark.parametrize("filters", ACCEPTED)
def test_rule__kept__is_accepted_and_accepted_again_when_sent_back(flags: Flags, filters: dict[str, Any]) -> None:
    flag = flags.made(filters=filters)
    answer = flags.patch(flag["id"], flag)
    assert answer.status_code == 200
    assert answer.json() == flag


def cohort(project: Project, name: str, *leaves: dict[str, Any], **fields: Any) -> Cohort:
    filters = {"properties": {"type": "OR", "values": [{"type": "AND", "values": list(leaves)}]}}
    return Cohort.objects.create(project=project, name=name, filters=filters, **fields)


BEHAVIORAL = {"type": "behavioral", "key": "bought", "value": "performed_event", "event_type": "events"}


def of_cohort(pk: int) -> dict[str, Any]:
    return condition(type="cohort", key="id", value=pk, operator="in")


def test_cohort__by_events__is_refused_by_name(flags: Flags, project: Project) -> None:
    buyers = cohort(project, "Buyers", BEHAVIORAL)
    answer = flags.post(body={"key": "k", "filters": of_cohort(buyers.pk)})
    assert answer.status_code == 400
    assert answer.json() == {
        "type": "validation_error",
        "code": "behavioral_cohort_found",
        "detail": "Cohort 'Buyers' has an event-based condition on 'bought' and cannot be used in feature flags.",
        "attr": "filters",
    }


def test_cohort__by_events_behind_another__is_refused(flags: Flags, project: Project) -> None:
    buyers = cohort(project, "Buyers", BEHAVIORAL)
    rich = cohort(project, "Rich", {"type": "cohort", "key": "id", "value": buyers.pk})
    answer = flags.post(body={"key": "k", "filters": of_cohort(rich.pk)})
    assert answer.json()["code"] == "behavioral_cohort_found"
    assert "'Buyers'" in answer.json()["detail"]


@pytest.mark.parametrize("is_static", [True, False])
def test_cohort__static_or_by_properties__is_shown_with_its_name(
    flags: Flags, project: Project, is_static: bool
) -> None:
    leaf = BEHAVIORAL if is_static else {"type": "person", "key": "plan", "value": "pro", "operator": "exact"}
    chosen = cohort(project, "Chosen", leaf, is_static=is_static)
    flag = flags.made(filters=of_cohort(chosen.pk))
    assert flag["filters"]["groups"][0]["properties"][0] == {
        "key": "id",
        "value": chosen.pk,
        "type": "cohort",
        "operator": "in",
        "cohort_name": "Chosen",
    }
    assert "cohort_name" not in str(FeatureFlag.objects.get().filters)


@pytest.mark.parametrize("fields", [{"deleted": True}, {"other_project": True}])
def test_cohort__deleted_or_foreign__does_not_exist(flags: Flags, project: Project, fields: dict[str, bool]) -> None:
    home = Project.objects.create(organization=project.organization, name="B") if "other_project" in fields else project
    gone = cohort(home, "Gone", deleted=fields.get("deleted", False))
    answer = flags.post(body={"key": "k", "filters": of_cohort(gone.pk)})
    assert answer.json()["code"] == "cohort_does_not_exist"
    assert answer.json()["detail"] == f"Cohort with id {gone.pk} does not exist"


def test_cohorts_that_refer_to_each_other__do_not_hang_the_check(flags: Flags, project: Project) -> None:
    first = cohort(project, "A")
    second = cohort(project, "B", {"type": "cohort", "key": "id", "value": first.pk})
    first.filters = {"properties": {"type": "OR", "values": [{"type": "cohort", "key": "id", "value": second.pk}]}}
    first.save()
    assert flags.made(filters=of_cohort(first.pk))["key"] == "a-flag"


def test_variants__of_an_experiment__fit(flags: Flags) -> None:
    assert flags.made(filters={"groups": GROUPS, "multivariate": {"variants": CONTROL_AND_TEST}})

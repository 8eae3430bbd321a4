"""POST feature_flags/"""

from typing import Any

import pytest

from activity.models import ActivityEntry
from feature_flags.models import FeatureFlag
from projects.models import Project, User
from tests.feature_flags.conftest import CONTROL_AND_TEST, GROUPS, Flags


def test_create__only_a_key__makes_an_active_flag_that_matches_nobody(flags: Flags, owner: User) -> None:
    answer = flags.post(body={"key": "new-nav"})
    assert answer.status_code == 201
    flag = answer.json()
    assert list(flag) == [
        "id",
        "created_at",
        "updated_at",
        "created_by",
        "last_modified_by",
        "key",
        "name",
        "filters",
        "active",
        "archived",
        "deleted",
        "version",
        "ensure_experience_continuity",
        "bucketing_identifier",
        "evaluation_runtime",
        "evaluation_contexts",
        "tags",
        "is_remote_configuration",
        "has_encrypted_payloads",
        "experiment_set",
        "experiment_set_metadata",
        "status",
        "last_called_at",
        "is_eligible_for_experiment",
        "can_edit",
        "user_access_level",
        "rollout_percentage",
        "folder",
        "surveys",
        "features",
        "analytics_dashboards",
        "usage_dashboard",
        "has_enriched_analytics",
        "is_used_in_replay_settings",
    ]
    expected = {
        "key": "new-nav",
        "name": "",
        "filters": {"groups": []},
        "active": True,
        "archived": False,
        "deleted": False,
        "version": 1,
        "ensure_experience_continuity": False,
        "bucketing_identifier": "distinct_id",
        "evaluation_runtime": "all",
        "evaluation_contexts": [],
        "tags": [],
        "is_remote_configuration": False,
        "has_encrypted_payloads": False,
        "experiment_set": [],
        "experiment_set_metadata": [],
        "status": "ACTIVE",
        "is_eligible_for_experiment": False,
        "can_edit": True,
        "user_access_level": "editor",
        "rollout_percentage": None,
        "folder": None,
    }
    assert {name: flag[name] for name in expected} == expected
    assert flag["created_by"]["email"] == flag["last_modified_by"]["email"] == owner.email
    assert flag["created_by"]["hedgehog_config"] is None


def test_create__whole_document__comes_back_in_the_order_and_form_sent(flags: Flags) -> None:
    filters = {
        "payloads": {"test": '{"b": 1, "a": 2}'},
        "multivariate": {
            "variants": [
                {"key": "test", "name": "Test", "rollout_percentage": 66.6},
                {"rollout_percentage": 33.4, "key": "control", "description": "as now"},
            ]
        },
        "groups": [
            {"rollout_percentage": 25.0, "properties": [], "sort_key": "x", "description": "some"},
            {
                "properties": [
                    {"key": "email", "value": ["a@b.c"], "operator": "icontains_multi", "type": "person"},
                    {"key": "seats", "value": 10, "operator": "gte", "type": "person", "label": "Seats"},
                ],
                "rollout_percentage": None,
                "variant": "test",
            },
        ],
        "early_exit": True,
        "feature_enrollment": False,
        "holdout": {"id": 3, "exclusion_percentage": 10},
    }
    answer = flags.post(body={"key": "k", "filters": filters, "name": " padded "})
    assert answer.status_code == 201
    assert list(answer.json()["filters"]) == list(filters)
    assert answer.json()["filters"] == filters
    assert '"rollout_percentage":25.0' in answer.content.decode()
    assert answer.json()["name"] == "padded"


def test_create__unknown_keys__are_dropped_at_every_level(flags: Flags) -> None:
    filters = {
        "groups": [
            {
                "properties": [
                    {
                        "key": "plan",
                        "value": "pro",
                        "type": "person",
                        "cohort_name": "x",
                        "weird": 1,
                        "operator": "exact",
                    }
                ],
                "rollout_percentage": 5,
                "users_affected": 3,
            }
        ],
        "holdout_groups": [{}],
        "super_groups": None,
        "super_conditions": [],
        "other": True,
    }
    flag = flags.made(filters=filters, unknown="x", id=99, status="DELETED")
    assert flag["filters"] == {
        "groups": [
            {
                "properties": [{"key": "plan", "value": "pro", "type": "person", "operator": "exact"}],
                "rollout_percentage": 5,
            }
        ]
    }
    assert flag["status"] == "ACTIVE"


def _condition(**fields: Any) -> dict[str, Any]:
    return {"groups": [{"properties": [{"key": "k", "value": "v", "type": "person"} | fields]}]}


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (_condition(key=7, operator="exact"), _condition(key="7", operator="exact")),
        (_condition(operator="min", value=3), _condition(operator="gte", value=3)),
        (_condition(operator="max", value=3), _condition(operator="lte", value=3)),
        (_condition(operator=None), _condition(operator="exact")),
    ],
)
def test_create__other_spelling__is_stored_in_the_one_form(
    flags: Flags, sent: dict[str, Any], stored: dict[str, Any]
) -> None:
    assert flags.made(filters=sent)["filters"] == stored


def test_create__payload_that_is_no_string__is_stored_as_its_json_text(flags: Flags) -> None:
    filters = {"groups": GROUPS, "payloads": {"true": {"a": [1, 2.5, None]}}}
    assert flags.made(filters=filters)["filters"]["payloads"] == {"true": '{"a":[1,2.5,null]}'}


def test_create__aggregation_of_the_flag__is_copied_into_groups_without_one(flags: Flags) -> None:
    groups: list[dict[str, Any]] = [{"properties": []}, {"properties": [], "aggregation_group_type_index": 1}]
    flag = flags.made(filters={"groups": groups, "aggregation_group_type_index": 1})
    assert flag["filters"]["groups"][0] == {"properties": [], "aggregation_group_type_index": 1}
    assert flag["filters"]["aggregation_group_type_index"] == 1


@pytest.mark.parametrize(("indexes", "shared"), [((1, 2), None), ((1, None), None), ((2, 2), 2)])
def test_create__groups_with_their_own_aggregation__the_flag_has_the_shared_one(
    flags: Flags, indexes: tuple[int | None, ...], shared: int | None
) -> None:
    groups: list[dict[str, Any]] = [{"properties": [], "aggregation_group_type_index": index} for index in indexes]
    flag = flags.made(filters={"groups": groups, "aggregation_group_type_index": 0})
    assert flag["filters"]["aggregation_group_type_index"] == shared


@pytest.mark.parametrize("sent", [{}, {"filters": {}}, {"filters": {"groups": []}}])
def test_create__remote_configuration_without_groups__is_open_to_everybody(flags: Flags, sent: dict[str, Any]) -> None:
    flag = flags.made(is_remote_configuration=True, **sent)
    assert flag["filters"]["groups"] == [{"properties": [], "rollout_percentage": 100}]


@pytest.mark.parametrize("rollout", [0, None])
def test_create__remote_configuration_closed__is_opened(flags: Flags, rollout: int | None) -> None:
    filters = {
        "groups": [{"properties": [], "rollout_percentage": rollout}, {"properties": [], "rollout_percentage": 7}]
    }
    flag = flags.made(is_remote_configuration=True, filters=filters)
    assert [group["rollout_percentage"] for group in flag["filters"]["groups"]] == [100, 7]


@pytest.mark.parametrize(
    ("groups", "rollout"),
    [
        ([{"rollout_percentage": 40}], 40),
        ([{"rollout_percentage": None}], None),
        ([{"properties": []}], None),
        ([{"rollout_percentage": 40}, {"rollout_percentage": 40}], None),
    ],
)
def test_create__rollout_percentage__is_that_of_the_only_group(
    flags: Flags, groups: list[dict[str, Any]], rollout: int | None
) -> None:
    assert flags.made(filters={"groups": groups})["rollout_percentage"] == rollout


def test_create__folder_tags_and_contexts__are_kept(flags: Flags) -> None:
    flag = flags.made(_create_in_folder="Growth/Nav", tags=["b ", "a", "b"], evaluation_contexts=["web", "web", "ios"])
    assert (flag["folder"], flag["tags"], flag["evaluation_contexts"]) == ("Growth/Nav", ["b", "a"], ["web", "ios"])


@pytest.mark.parametrize(
    ("keys", "eligible"),
    [
        (["control", "test"], True),
        ([f"v{number}" if number else "control" for number in range(20)], True),
        ([f"v{number}" if number else "control" for number in range(21)], False),
        (["test", "control"], False),
        (["control"], False),
    ],
)
def test_create__variants__decide_whether_it_can_carry_an_experiment(
    flags: Flags, keys: list[str], eligible: bool
) -> None:
    variants = [{"key": key, "rollout_percentage": 100 if key == keys[0] else 0} for key in keys]
    flag = flags.made(filters={"groups": GROUPS, "multivariate": {"variants": variants}})
    assert flag["is_eligible_for_experiment"] is eligible


def test_create__writes_one_row_of_history(flags: Flags, owner: User) -> None:
    flag = flags.made(filters={"groups": GROUPS})
    entry = ActivityEntry.objects.get()
    assert (entry.scope, entry.item_id, entry.activity) == ("FeatureFlag", str(flag["id"]), "created")
    assert entry.user == owner
    assert entry.detail["name"] == "a-flag"
    assert {"type": "FeatureFlag", "action": "created", "field": "key", "before": None, "after": "a-flag"} in (
        entry.detail["changes"]
    )


@pytest.mark.parametrize(
    ("fields", "code", "detail", "attr"),
    [
        ({"key": None}, "null", "This field may not be null.", "key"),
        ({"key": " "}, "blank", "This field may not be blank.", "key"),
        ({"key": "x" * 401}, "max_length", "Ensure this field has no more than 400 characters.", "key"),
        (
            {"key": "white space"},
            "invalid_key",
            "Only letters, numbers, hyphens (-) & underscores (_) are allowed.",
            "key",
        ),
        (
            {"key": "ключ"},
            "invalid_key",
            "Only letters, numbers, hyphens (-) & underscores (_) are allowed.",
            "key",
        ),
        ({"key": "taken"}, "unique", "There is already a feature flag with this key.", "key"),
        ({"active": "maybe"}, "invalid_input", "Must be a valid boolean.", "active"),
        ({"active": None}, "null", "This field may not be null.", "active"),
        (
            {"bucketing_identifier": "cookie"},
            "invalid_choice",
            '"cookie" is not a valid choice.',
            "bucketing_identifier",
        ),
        ({"evaluation_runtime": "edge"}, "invalid_choice", '"edge" is not a valid choice.', "evaluation_runtime"),
        (
            {"evaluation_contexts": ["c"] * 51},
            "max_length",
            "Ensure this field has no more than 50 elements.",
            "evaluation_contexts",
        ),
        (
            {"evaluation_contexts": ["ok", "c" * 256]},
            "max_length",
            "Ensure this field has no more than 255 characters.",
            "evaluation_contexts__1",
        ),
        ({"tags": "one"}, "not_a_list", 'Expected a list of items but got type "str".', "tags"),
        (
            {"bucketing_identifier": "device_id", "ensure_experience_continuity": True},
            "invalid_input",
            "Cannot enable 'persist across authentication steps' when using device ID bucketing. "
            "These features are incompatible.",
            None,
        ),
        (
            {"archived": True},
            "invalid_input",
            "Cannot archive an enabled feature flag. Disable it first, or send active: false in the same request.",
            None,
        ),
    ],
)
def test_create__field_that_breaks_a_rule__is_refused_and_makes_nothing(
    flags: Flags, project: Project, fields: dict[str, Any], code: str, detail: str, attr: str | None
) -> None:
    flags.made(key="taken")
    answer = flags.post(body={"key": "fresh"} | fields)
    assert answer.status_code == 400
    assert answer.json() == {"type": "validation_error", "code": code, "detail": detail, "attr": attr}
    assert FeatureFlag.objects.filter(project=project).count() == 1
    assert ActivityEntry.objects.count() == 1


def test_create__without_key__is_refused(flags: Flags) -> None:
    answer = flags.post(body={"name": "x"})
    assert answer.status_code == 400
    assert answer.json() == {
        "type": "validation_error",
        "code": "required",
        "detail": "This field is required.",
        "attr": "key",
    }


def test_create__body_that_is_a_list__is_refused(flags: Flags) -> None:
    answer = flags.post(body=[{"key": "x"}])
    assert answer.status_code == 400
    assert answer.json()["detail"] == "Invalid data. Expected a dictionary, but got list."


def test_create__key_of_another_project__is_free(flags: Flags, project: Project) -> None:
    other = Project.objects.create(organization=project.organization, name="Other")
    FeatureFlag.objects.create(project=other, key="shared")
    assert flags.made(key="shared")["key"] == "shared"


def test_create__variants__are_kept_with_their_weights(flags: Flags) -> None:
    flag = flags.made(filters={"groups": GROUPS, "multivariate": {"variants": CONTROL_AND_TEST}})
    assert flag["filters"]["multivariate"]["variants"] == CONTROL_AND_TEST

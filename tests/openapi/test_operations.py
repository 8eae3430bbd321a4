"""What clients generated from the document call: the name of each operation, and the credentials it takes."""

from typing import Any

import pytest
from drf_spectacular.settings import spectacular_settings

PERSONAL, SECRET, SESSION = "PersonalAPIKeyAuth", "ProjectSecretAPIKeyAuth", "SessionAuth"
CRUD = ("list", "create", "retrieve", "partial_update", "destroy")


def crud(resource: str, *verbs: str) -> set[str]:
    return {f"{resource}_{verb}" for verb in verbs or CRUD}


def acts(resource: str, verb: str, *names: str) -> set[str]:
    return {f"{resource}_{name}_{verb}" for name in names}


EXPECTED = (
    crud("experiments")
    | acts("experiments", "create", "launch", "pause", "resume", "end", "archive", "unarchive", "reset", "ship_variant")
    | acts("experiments", "create", "duplicate", "copy_to_project", "create_exposure_cohort_for_experiment")
    | acts("experiments", "create", "calculate_running_time")
    | acts("experiments", "retrieve", "results", "exposures", "timeseries_results")
    | acts("experiments", "create", "recalculate_timeseries")
    | acts("experiments", "retrieve", "stats", "requires_flag_implementation", "eligible_feature_flags", "activity")
    | {"query_create", "environments_query_create"}
    | crud("experiment_holdouts")
    | crud("experiment_saved_metrics")
    | crud("feature_flags")
    | acts("feature_flags", "create", "enable", "disable", "archive", "unarchive")
    | acts("feature_flags", "retrieve", "status", "bulk_keys", "activity", "all_activity")
    | acts("feature_flags", "retrieve", "local_evaluation", "remote_config", "my_flags", "evaluation_reasons")
    | acts("feature_flags", "create", "user_blast_radius", "test_evaluation", "copy_flags")
    | crud("scheduled_changes")
    | {"activity_log_list"}
    | {"feature_flags_dependent_flags_list"}
    | crud("cohorts")
    | acts("cohorts", "retrieve", "persons", "calculation_history", "activity", "used_in")
    | acts("cohorts", "partial_update", "add_persons_to_static_cohort", "remove_person_from_static_cohort")
    | crud("actions")
    | crud("persons", "list", "retrieve", "destroy")
    | {"persons_bulk_delete_create", "groups_list", "groups_find_retrieve", "groups_types_list"}
    | crud("events", "list", "retrieve")
    | crud("event_definitions", "list", "retrieve")
    | crud("approval_policies")
    | crud("organization_approval_policies")
    | crud("change_requests", "list", "retrieve")
    | acts("change_requests", "create", "approve", "reject", "cancel")
    | crud("organizations", "list", "retrieve", "partial_update")
    | crud("members", "list", "partial_update", "destroy")
    | crud("organization_projects")
    | crud("roles")
    | crud("roles_role_memberships", "list", "create", "retrieve", "destroy")
    | crud("projects", "list", "retrieve", "partial_update")
    | acts("projects", "partial_update", "rotate_secret_token", "delete_secret_token_backup", "reset_token")
    | crud("users", "retrieve", "partial_update")
    | crud("personal_api_keys")
    | {"personal_api_keys_roll_create", "personal_api_keys_current_retrieve"}
    | crud("project_secret_api_keys")
    | {"project_secret_api_keys_roll_create"}
)


@pytest.fixture(scope="module")
def operations() -> dict[str, dict[str, Any]]:
    made = spectacular_settings.DEFAULT_GENERATOR_CLASS().get_schema(request=None, public=True)
    listed = [operation for methods in made["paths"].values() for operation in methods.values()]
    named = {operation["operationId"]: operation for operation in listed}
    assert len(named) == len(listed), "an operationId is used twice"
    return named


def test_operation_ids__exactly_these(operations: dict[str, dict[str, Any]]) -> None:
    assert set(operations) == EXPECTED


@pytest.mark.parametrize(
    ("operation_id", "security"),
    [
        ("experiments_list", [{PERSONAL: ["experiment:read"]}, {SECRET: ["experiment:read"]}]),
        (
            "experiment_holdouts_list",
            [{PERSONAL: ["experiment_holdout:read"]}, {PERSONAL: ["experiment:read"]}],
        ),
        ("experiments_launch_create", [{PERSONAL: ["experiment:write"]}]),
        ("feature_flags_list", [{PERSONAL: ["feature_flag:read"]}]),
        ("feature_flags_create", [{PERSONAL: ["feature_flag:write"]}]),
        ("feature_flags_destroy", [{PERSONAL: ["feature_flag:write"]}]),
        ("feature_flags_bulk_keys_retrieve", [{PERSONAL: ["feature_flag:read"]}]),
        ("personal_api_keys_list", [{SESSION: []}]),
        ("personal_api_keys_current_retrieve", [{PERSONAL: []}]),
        ("members_list", [{PERSONAL: ["organization_member:read"]}]),
    ],
)
def test_security__scopes_of_each_credential(
    operations: dict[str, dict[str, Any]], operation_id: str, security: list[dict[str, list[str]]]
) -> None:
    assert operations[operation_id]["security"] == security

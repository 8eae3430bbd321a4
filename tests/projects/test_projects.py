from collections.abc import Callable
from typing import Any

import pytest

from experiments.models import Experiment
from feature_flags.services import create_flag
from projects import services
from projects.authentication import find_secret
from projects.models import Level, Organization, Project, User
from tests.cast import ClientFor, error

DEFAULTS = {
    "test_account_filters": [],
    "default_experiment_stats_method": "bayesian",
    "default_experiment_confidence_level": 0.95,
    "default_cuped_enabled": False,
    "default_cuped_lookback_days": 14,
    "default_sequential_testing_enabled": False,
    "default_sequential_tuning_parameter": 5000,
    "default_minimum_detectable_effect": 30,
    "default_only_count_matured_users": False,
    "flags_persistence_default": False,
    "experiment_recalculation_time": "02:00",
}


def test_retrieve__member__is_the_documented_object(api: Any, project: Project):
    answer = api.get(f"/api/projects/{project.pk}/")

    assert answer.status_code == 200
    content = answer.json()
    assert content == {
        "id": project.pk,
        "uuid": str(project.uuid),
        "organization": str(project.organization_id),
        "project_id": project.pk,
        "api_token": project.api_token,
        "name": "Shop",
        "timezone": "UTC",
        "ingested_event": False,
        "is_demo": False,
        "created_at": content["created_at"],
        "updated_at": content["updated_at"],
        "secret_api_token": None,
        "secret_api_token_mask": project.secret_token_mask,
        "secret_api_token_backup_mask": None,
        **DEFAULTS,
    }


@pytest.mark.parametrize(
    "path", ["/api/projects/@current/", "/api/projects/@current", "/api/organizations/@current/projects/{}"]
)
def test_retrieve__other_addresses__give_the_same(api: Any, project: Project, path: str):
    content = api.get(path.format(project.pk)).json()

    assert content == api.get(f"/api/projects/{project.pk}/").json()


def test_list__caller_of_two_organizations__sees_projects_of_both(
    api: Any, project: Project, member: User, outsider: User
):
    second = services.create_organization(name="Second")
    services.join_organization(user=member, organization=second, level=Level.MEMBER)
    services.create_project(organization=second, name="Blog")

    assert [found["name"] for found in api.get("/api/projects/").json()["results"]] == ["Shop", "Blog"]
    assert [found["name"] for found in api.get("/api/organizations/@current/projects/").json()["results"]] == ["Shop"]


def test_list__two_pages__links_are_absolute(api: Any, project: Project):
    services.create_project(organization=project.organization, name="Blog")
    url = "/api/organizations/@current/projects/"

    first = api.get(url, {"limit": 1}).json()
    assert first["next"] == f"http://testserver{url}?limit=1&offset=1"

    second = api.get(first["next"]).json()
    assert [found["name"] for found in second["results"]] == ["Blog"]
    assert (second["next"], second["previous"]) == (None, f"http://testserver{url}?limit=1")


def test_list__key_for_one_organization__sees_only_its_projects(project: Project, member: User, client_for: ClientFor):
    second = services.create_organization(name="Second")
    services.join_organization(user=member, organization=second, level=Level.MEMBER)
    services.create_project(organization=second, name="Blog")
    client = client_for(member, scoped_organizations=[second.pk])

    assert [found["name"] for found in client.get("/api/projects/").json()["results"]] == ["Blog"]


def test_create__name_only__has_defaults_and_shows_its_secret_once(owner_api: Any, organization: Organization):
    answer = owner_api.post(f"/api/organizations/{organization.pk}/projects/", {"name": "Blog"})

    assert answer.status_code == 201
    content = answer.json()
    assert {name: content[name] for name in DEFAULTS} == DEFAULTS
    secret = content["secret_api_token"]
    found = find_secret(secret)
    assert found is not None
    assert found.project_id == content["id"]
    assert content["secret_api_token_mask"] == f"phs_...{secret[-4:]}"
    assert content["api_token"].startswith("phc_")
    assert owner_api.get(f"/api/projects/{content['id']}/").json()["secret_api_token"] is None


SETTINGS = {
    "name": "Renamed",
    "timezone": "Europe/Berlin",
    "default_experiment_stats_method": "frequentist",
    "default_experiment_confidence_level": 0.99,
    "default_cuped_enabled": True,
    "default_cuped_lookback_days": 30,
    "default_sequential_testing_enabled": True,
    "default_sequential_tuning_parameter": 1e9,
    "default_minimum_detectable_effect": 0.5,
    "default_only_count_matured_users": True,
    "flags_persistence_default": True,
    "experiment_recalculation_time": "23:59",
}


def test_update__every_setting__is_kept_at_both_addresses(owner_api: Any, project: Project):
    for url in (f"/api/projects/{project.pk}/", f"/api/organizations/@current/projects/{project.pk}/"):
        answer = owner_api.patch(url, SETTINGS)

        assert answer.status_code == 200
        assert {name: answer.json()[name] for name in SETTINGS} == SETTINGS
        assert {name: owner_api.get(url).json()[name] for name in SETTINGS} == SETTINGS
        owner_api.patch(url, DEFAULTS)


def test_create__every_setting__is_taken(owner_api: Any, project: Project):
    content = owner_api.post("/api/organizations/@current/projects/", SETTINGS).json()

    assert {name: content[name] for name in SETTINGS} == SETTINGS


def test_update__read_only_fields__are_ignored(owner_api: Any, project: Project):
    body = {"id": 7, "uuid": "x", "organization": "x", "api_token": "phc_x", "ingested_event": True, "is_demo": True}

    answer = owner_api.patch(f"/api/projects/{project.pk}/", body)

    assert answer.status_code == 200
    assert answer.json() == owner_api.get(f"/api/projects/{project.pk}/").json()
    assert answer.json()["api_token"] == project.api_token


BAD_TIME = "Time has wrong format. Use one of these formats instead: hh:mm."


@pytest.mark.parametrize(
    ("field", "value", "code", "detail"),
    [
        ("name", "", "blank", "This field may not be blank."),
        ("name", "x" * 201, "max_length", "Ensure this field has no more than 200 characters."),
        ("timezone", "Mars/Base", "invalid_choice", '"Mars/Base" is not a valid choice.'),
        ("timezone", 3, "invalid_choice", '"3" is not a valid choice.'),
        ("timezone", {}, "invalid_input", "Not a valid string."),
        ("default_experiment_stats_method", "magic", "invalid_choice", '"magic" is not a valid choice.'),
        ("default_experiment_confidence_level", 0.8, "invalid_choice", '"0.8" is not a valid choice.'),
        ("default_cuped_enabled", "maybe", "invalid_input", "Must be a valid boolean."),
        ("default_cuped_lookback_days", 0, "min_value", "Ensure this value is greater than or equal to 1."),
        ("default_cuped_lookback_days", 31, "max_value", "Ensure this value is less than or equal to 30."),
        ("default_cuped_lookback_days", "x", "invalid_input", "A valid integer is required."),
        ("default_sequential_tuning_parameter", 0.5, "min_value", "Ensure this value is greater than or equal to 1."),
        (
            "default_sequential_tuning_parameter",
            1e10,
            "max_value",
            "Ensure this value is less than or equal to 1000000000.",
        ),
        pytest.param(
            "default_sequential_tuning_parameter",
            10**400,
            "invalid_input",
            "A valid number is required.",
            id="beyond a double",
        ),
        ("default_sequential_tuning_parameter", "nan", "invalid_input", "A valid number is required."),
        ("default_sequential_tuning_parameter", True, "invalid_input", "A valid number is required."),
        ("default_minimum_detectable_effect", 0, "min_value", "Ensure this value is greater than 0."),
        ("flags_persistence_default", None, "null", "This field may not be null."),
        ("experiment_recalculation_time", "24:00", "invalid_input", BAD_TIME),
        ("experiment_recalculation_time", "2:00", "invalid_input", BAD_TIME),
        ("experiment_recalculation_time", 5, "invalid_input", BAD_TIME),
    ],
)
def test_update__bad_setting__is_refused(
    owner_api: Any, project: Project, field: str, value: object, code: str, detail: str
):
    answer = owner_api.patch(f"/api/projects/{project.pk}/", {field: value})

    assert (answer.status_code, answer.json()) == (400, error(code, detail, field))


def test_create__without_name__is_refused(owner_api: Any, organization: Organization):
    answer = owner_api.post("/api/organizations/@current/projects/")

    assert answer.json() == error("required", "This field is required.", "name")


def test_writes__member__are_refused(api: Any, project: Project):
    below = "/api/organizations/@current/projects/"
    itself = f"/api/projects/{project.pk}/"

    answers = [
        api.post(below, {"name": "Mine"}),
        api.patch(f"{below}{project.pk}/", {"name": "Mine"}),
        api.delete(f"{below}{project.pk}/"),
        api.patch(itself, {"name": "Mine"}),
        api.patch(f"{itself}rotate_secret_token/"),
        api.patch(f"{itself}delete_secret_token_backup/"),
        api.patch(f"{itself}reset_token/"),
    ]

    assert {answer.status_code for answer in answers} == {403}
    assert {answer.json()["detail"] for answer in answers} == {"Your organization access level is insufficient."}
    assert Project.objects.get().name == "Shop"


def test_delete__project__goes_with_everything_inside(owner_api: Any, owner: User, project: Project, outsider: User):
    flag = create_flag(project=project, user=owner, key="a-flag")
    Experiment.objects.create(project=project, feature_flag=flag, name="Blue button")

    answer = owner_api.delete(f"/api/organizations/@current/projects/{project.pk}/")

    assert (answer.status_code, answer.content) == (204, b"")
    assert not Experiment.objects.exists()
    assert list(Project.objects.values_list("name", flat=True)) == ["Foreign"]
    assert owner_api.get("/api/projects/@current/").json()["detail"] == "Project not found."


def test_delete__at_the_other_address__is_not_offered(owner_api: Any, project: Project):
    answer = owner_api.delete(f"/api/projects/{project.pk}/")

    assert answer.status_code == 405
    assert answer.json()["detail"] == 'Method "DELETE" not allowed.'
    assert Project.objects.filter(pk=project.pk).exists()


def test_rotate__twice__the_last_two_secrets_are_valid(owner_api: Any, organization: Organization, owner: User):
    project, first = services.create_project(organization=organization, name="Blog")
    url = f"/api/projects/{project.pk}/rotate_secret_token"

    second = owner_api.patch(url).json()
    third = owner_api.patch(url).json()

    assert find_secret(first) is None
    assert find_secret(second["secret_api_token"]) is not None
    assert find_secret(third["secret_api_token"]) is not None
    assert third["secret_api_token_mask"] == f"phs_...{third['secret_api_token'][-4:]}"
    assert third["secret_api_token_backup_mask"] == second["secret_api_token_mask"]


def test_delete_backup__after_rotation__only_the_new_secret_is_valid(owner_api: Any, organization: Organization):
    project, first = services.create_project(organization=organization, name="Blog")
    url = f"/api/projects/{project.pk}/"
    second = owner_api.patch(f"{url}rotate_secret_token/").json()["secret_api_token"]

    answer = owner_api.patch(f"{url}delete_secret_token_backup/")

    assert (answer.status_code, answer.json()["secret_api_token_backup_mask"]) == (200, None)
    assert answer.json()["secret_api_token"] is None
    assert find_secret(first) is None
    assert find_secret(second) is not None


def test_reset_token__old_one__stops_at_once(owner_api: Any, project: Project):
    content = owner_api.patch(f"/api/projects/{project.pk}/reset_token/").json()

    assert content["api_token"].startswith("phc_")
    assert content["api_token"] != project.api_token
    assert not Project.objects.filter(api_token=project.api_token).exists()


def test_tokens__stale_session__must_sign_in_again(owner: User, project: Project, session_for: Callable[[User], Any]):
    client = session_for(owner)
    session = client.session
    session["signed_in_at"] -= 2 * 3600 + 5
    session.save()

    for act in ("rotate_secret_token", "delete_secret_token_backup", "reset_token"):
        answer = client.patch(f"/api/projects/{project.pk}/{act}/")
        assert (answer.status_code, answer.json()["code"]) == (403, "sensitive_action_required_reauth")
    assert client.patch(f"/api/projects/{project.pk}/", {"name": "Blog"}).status_code == 200


@pytest.mark.parametrize("named", ["0", "-1", "x", "99999999999999999999", "1.0", "%00"])
def test_retrieve__no_such_project__is_not_found(owner_api: Any, project: Project, named: str):
    answer = owner_api.get(f"/api/projects/{named}/")

    assert (answer.status_code, answer.json()["detail"]) == (404, "Project not found.")


def test_retrieve__project_of_another_organization__is_not_found_below_ones_own(
    owner_api: Any, outsider: User, project: Project
):
    answer = owner_api.get(f"/api/organizations/@current/projects/{outsider.current_project_id}/")

    assert (answer.status_code, answer.json()["detail"]) == (404, "Not found.")

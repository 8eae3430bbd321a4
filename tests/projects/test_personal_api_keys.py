from collections.abc import Callable
from typing import Any

import pytest

from projects import services
from projects.authentication import find_personal
from projects.models import Organization, PersonalAPIKey, Project, User
from tests.cast import bearer, error, key_for

URL = "/api/personal_api_keys/"
BODY = {"label": "CI", "scopes": ["experiment:write"]}


@pytest.fixture
def session(project: Project, member: User, session_for: Callable[[User], Any]) -> Any:
    return session_for(member)


def test_create__valid__shows_the_value_once(session: Any, member: User):
    answer = session.post(URL, {**BODY, "description": "for the pipeline"})

    assert answer.status_code == 201
    content = answer.json()
    value = content["value"]
    assert content == {
        "id": content["id"],
        "label": "CI",
        "description": "for the pipeline",
        "value": value,
        "mask_value": f"phx_...{value[-4:]}",
        "created_at": content["created_at"],
        "last_used_at": None,
        "last_rolled_at": None,
        "user_id": member.pk,
        "scopes": ["experiment:write"],
        "scoped_teams": None,
        "scoped_organizations": None,
        "is_legacy_hashing": False,
    }
    assert isinstance(content["id"], str)
    assert bearer(value).get(f"{URL}@current").status_code == 200
    shown = session.get(f"{URL}{content['id']}/").json()
    assert shown.pop("last_used_at") is not None
    assert shown == {name: field for name, field in content.items() if name != "last_used_at"} | {"value": None}


def test_create__restrictions__are_kept(session: Any, project: Project, organization: Organization):
    content = session.post(
        URL, BODY | {"scoped_teams": [project.pk], "scoped_organizations": [str(organization.pk)]}
    ).json()

    assert content["scoped_teams"] == [project.pk]
    assert content["scoped_organizations"] == [str(organization.pk)]


MEMBER_OF_TEAMS = "You must be a member of all teams that you are scoping the key to."
MEMBER_OF_ORGANIZATIONS = "You must be a member of all organizations that you are scoping the key to."


@pytest.mark.parametrize(
    ("changed", "code", "detail", "attr"),
    [
        ({"label": ""}, "blank", "This field may not be blank.", "label"),
        ({"label": "x" * 41}, "max_length", "Ensure this field has no more than 40 characters.", "label"),
        ({"scopes": []}, "empty", "This list may not be empty.", "scopes"),
        ({"scopes": None}, "null", "This field may not be null.", "scopes"),
        ({"scopes": "*"}, "not_a_list", 'Expected a list of items but got type "str".', "scopes"),
        ({"scopes": ["*", "x:read"]}, "invalid_input", "Invalid scope: x:read", "scopes"),
        ({"scopes": ["experiment"]}, "invalid_input", "Invalid scope: experiment", "scopes"),
        ({"scoped_teams": [10**30]}, "invalid_input", MEMBER_OF_TEAMS, "scoped_teams"),
        ({"scoped_teams": [-1]}, "invalid_input", MEMBER_OF_TEAMS, "scoped_teams"),
        ({"scoped_teams": ["x"]}, "invalid_input", "A valid integer is required.", "scoped_teams__0"),
        ({"scoped_organizations": ["x"]}, "invalid_input", "Invalid organization UUID", "scoped_organizations"),
        (
            {"scoped_organizations": ["9d4f8b8e-45e3-4b65-9c69-0d0b0d2f3a11"]},
            "invalid_input",
            MEMBER_OF_ORGANIZATIONS,
            "scoped_organizations",
        ),
    ],
)
def test_create_and_update__bad_field__is_refused(
    session: Any, changed: dict[str, Any], code: str, detail: str, attr: str
):
    made = session.post(URL, BODY).json()

    for answer in (session.post(URL, BODY | changed), session.patch(f"{URL}{made['id']}/", changed)):
        assert (answer.status_code, answer.json()) == (400, error(code, detail, attr))
    assert PersonalAPIKey.objects.count() == 1


@pytest.mark.parametrize("missing", ["label", "scopes"])
def test_create__missing_field__is_required(session: Any, missing: str):
    answer = session.post(URL, {name: value for name, value in BODY.items() if name != missing})

    assert answer.json() == error("required", "This field is required.", missing)


def test_create__project_of_others__is_refused(session: Any, outsider: User, project: Project):
    answer = session.post(URL, BODY | {"scoped_teams": [project.pk, outsider.current_project_id]})

    assert answer.json() == error("invalid_input", MEMBER_OF_TEAMS, "scoped_teams")


def test_create__eleventh__is_refused_but_not_on_the_command_line(session: Any, member: User):
    for _ in range(10):
        key_for(member)

    answer = session.post(URL, BODY)

    assert (answer.status_code, answer.json()) == (
        400,
        error(
            "invalid_input",
            "You can only have 10 personal API keys. Remove an existing key before creating a new one.",
        ),
    )
    services.create_personal_api_key(user=member, label="eleventh", scopes=["*"])
    assert member.personal_api_keys.count() == 11


def test_list__own_keys__is_a_bare_array_without_values(session: Any, owner: User):
    key_for(owner)
    first, second = (session.post(URL, BODY | {"label": label}).json() for label in ("one", "two"))

    content = session.get(URL).json()

    assert content == [first | {"value": None}, second | {"value": None}]


def test_update__label_and_scopes__keep_the_value(session: Any):
    made = session.post(URL, BODY).json()

    answer = session.patch(f"{URL}{made['id']}/", {"label": "Other", "scopes": ["*"], "scoped_teams": []})

    assert answer.status_code == 200
    assert answer.json() == made | {"label": "Other", "scopes": ["*"], "value": None}
    assert bearer(made["value"]).get("/api/users/@me/").status_code == 200


def test_roll__new_value__stops_the_old_one(session: Any):
    made = session.post(URL, BODY).json()

    rolled = session.post(f"{URL}{made['id']}/roll/").json()

    assert rolled["value"].startswith("phx_")
    assert rolled["mask_value"] == f"phx_...{rolled['value'][-4:]}"
    assert rolled["last_rolled_at"] is not None
    assert rolled["id"] == made["id"]
    assert find_personal(made["value"]) is None
    assert find_personal(rolled["value"]) is not None


def test_delete__key__stops(session: Any):
    made = session.post(URL, BODY).json()

    answer = session.delete(f"{URL}{made['id']}/")

    assert (answer.status_code, answer.content) == (204, b"")
    assert bearer(made["value"]).get(f"{URL}@current").status_code == 401


def test_detail__key_of_another_user__is_not_found(session: Any, owner: User):
    key_for(owner)
    key = owner.personal_api_keys.get()
    url = f"{URL}{key.pk}/"

    answers = [session.get(url), session.patch(url, {"label": "x"}), session.post(f"{url}roll/"), session.delete(url)]

    assert [(answer.status_code, answer.json()["detail"]) for answer in answers] == [(404, "Not found.")] * 4
    assert owner.personal_api_keys.get().label == "test"


@pytest.mark.parametrize("named", ["%00", "é", "x" * 500, "-"])
def test_detail__impossible_id__is_not_found(session: Any, named: str):
    assert session.get(f"{URL}{named}/").json()["detail"] == "Not found."


def test_routes__personal_key__is_not_supported_whatever_its_scopes(member: User, project: Project):
    value = key_for(member)
    key = member.personal_api_keys.get()
    client = bearer(value)
    url = f"{URL}{key.pk}/"

    answers = [
        client.get(URL),
        client.post(URL, BODY),
        client.get(url),
        client.patch(url, {"label": "x"}),
        client.post(f"{url}roll/"),
        client.delete(url),
        client.put(url),
    ]

    assert [answer.status_code for answer in answers] == [403] * 7
    assert {answer.json()["detail"] for answer in answers} == {"This action does not support personal API key access"}


def test_writes__stale_session__must_sign_in_again(session: Any):
    made = session.post(URL, BODY).json()
    store = session.session
    store["signed_in_at"] -= 2 * 3600 + 5
    store.save()
    url = f"{URL}{made['id']}/"

    answers = [session.post(URL, BODY), session.patch(url, {}), session.post(f"{url}roll/"), session.delete(url)]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {
        (403, "sensitive_action_required_reauth")
    }
    assert session.get(URL).status_code == 200


def test_current__any_valid_key__sees_itself_with_lists_as_arrays(member: User, project: Project):
    for scopes in (["*"], ["experiment:read"], []):
        value = key_for(member, scopes)
        content = bearer(value).get(f"{URL}@current/").json()

        assert (content["scopes"], content["scoped_teams"], content["scoped_organizations"]) == (scopes, [], [])
        assert content["mask_value"] == f"phx_...{value[-4:]}"
        assert content["value"] is None


def test_current__key_for_one_project__sees_itself(member: User, project: Project, organization: Organization):
    organization.members_can_use_personal_api_keys = False
    organization.save()
    client = bearer(key_for(member, scoped_teams=[project.pk], scoped_organizations=[organization.pk]))

    content = client.get(f"{URL}@current").json()

    assert content["scoped_teams"] == [project.pk]
    assert content["scoped_organizations"] == [str(organization.pk)]


def test_current__session__has_no_key(session: Any):
    assert session.get(f"{URL}@current/").json()["detail"] == "Not found."


def test_current__project_secret__is_not_supported(organization: Organization):
    _, secret = services.create_project(organization=organization, name="Shop")

    answer = bearer(secret).get(f"{URL}@current")

    assert (answer.status_code, answer.json()["detail"]) == (
        403,
        "This action does not support project secret API key access",
    )

from collections.abc import Callable
from typing import Any

import pytest

from projects import secret_keys
from projects.authentication import find_secret
from projects.models import Project, ProjectSecretAPIKey, User
from tests.cast import ClientFor, bearer, error

URL = "/api/projects/@current/project_secret_api_keys/"
BODY = {"label": "Backend", "scopes": ["feature_flag:read"]}


def test_create__valid__shows_the_value_once(owner_api: Any, owner: User, project: Project):
    answer = owner_api.post(URL, BODY)

    assert answer.status_code == 201
    content = answer.json()
    value = content["value"]
    assert content == {
        "id": content["id"],
        "label": "Backend",
        "value": value,
        "mask_value": f"phs_...{value[-4:]}",
        "created_at": content["created_at"],
        "created_by": content["created_by"],
        "last_used_at": None,
        "last_rolled_at": None,
        "scopes": ["feature_flag:read"],
    }
    assert content["created_by"]["email"] == owner.email
    assert owner_api.get(f"{URL}{content['id']}/").json() == content | {"value": None}
    found = find_secret(value)
    assert found is not None
    assert (found.project_id, found.scopes) == (project.pk, ["feature_flag:read"])


@pytest.mark.parametrize(
    ("changed", "code", "detail", "attr"),
    [
        ({"label": "x" * 41}, "max_length", "Ensure this field has no more than 40 characters.", "label"),
        ({"scopes": []}, "empty", "This list may not be empty.", "scopes"),
        (
            {"scopes": ["feature_flag:read", "*"]},
            "invalid_input",
            "Wildcard scope '*' is not allowed for project API keys. Please specify explicit scopes.",
            "scopes",
        ),
        (
            {"scopes": ["experiment:write"]},
            "invalid_input",
            "Scope 'experiment:write' can not be assigned to a project secret API key. "
            "Allowed scopes: experiment:read, feature_flag:read",
            "scopes",
        ),
        ({"label": "taken"}, "invalid_input", "Project secret API key with label 'taken' already exists.", "label"),
    ],
)
def test_create_and_update__bad_field__is_refused(
    owner_api: Any, changed: dict[str, Any], code: str, detail: str, attr: str
):
    owner_api.post(URL, BODY | {"label": "taken"})
    made = owner_api.post(URL, BODY | {"label": "mine"}).json()

    for answer in (owner_api.post(URL, BODY | changed), owner_api.patch(f"{URL}{made['id']}/", changed)):
        assert (answer.status_code, answer.json()) == (400, error(code, detail, attr))
    assert ProjectSecretAPIKey.objects.count() == 2


def test_create__fifty_first__is_refused(owner_api: Any, project: Project):
    for number in range(50):
        secret_keys.create_secret_key(project=project, user=None, label=f"{number}", scopes=["experiment:read"])

    answer = owner_api.post(URL, BODY)

    assert (answer.status_code, answer.json()) == (
        400,
        error(
            "invalid_input",
            "You can only have 50 project secret API keys. Remove an existing key before creating a new one.",
        ),
    )


def test_create__same_label_in_another_project__is_fine(outsider_api: Any, owner_api: Any):
    assert owner_api.post(URL, BODY).status_code == 201
    assert outsider_api.post(URL, BODY).status_code == 201


def test_list__member__sees_masks_only(api: Any, owner_api: Any):
    made = owner_api.post(URL, BODY).json()

    content = api.get(URL).json()

    assert content == {"count": 1, "next": None, "previous": None, "results": [made | {"value": None}]}
    assert made["value"] not in str(content)


def test_update__label_and_scopes__keep_the_value(owner_api: Any):
    made = owner_api.post(URL, BODY).json()

    answer = owner_api.patch(f"{URL}{made['id']}/", {"label": "Other", "scopes": ["experiment:read"]})

    assert answer.json() == made | {"label": "Other", "scopes": ["experiment:read"], "value": None}
    assert find_secret(made["value"]) is not None


def test_roll__new_value__stops_the_old_one(owner_api: Any):
    made = owner_api.post(URL, BODY).json()

    rolled = owner_api.post(f"{URL}{made['id']}/roll/").json()

    assert rolled["value"].startswith("phs_")
    assert rolled["last_rolled_at"] is not None
    assert find_secret(made["value"]) is None
    assert find_secret(rolled["value"]) is not None


def test_delete__key__stops(owner_api: Any):
    made = owner_api.post(URL, BODY).json()

    assert owner_api.delete(f"{URL}{made['id']}/").status_code == 204

    assert find_secret(made["value"]) is None


def test_detail__key_of_another_project__is_not_found(owner_api: Any, outsider_api: Any):
    made = owner_api.post(URL, BODY).json()
    url = f"{URL}{made['id']}/"

    for answer in (outsider_api.get(url), outsider_api.delete(url), outsider_api.post(f"{url}roll/")):
        assert (answer.status_code, answer.json()["detail"]) == (404, "Not found.")
    assert find_secret(made["value"]) is not None


def test_writes__member__are_refused(api: Any, owner_api: Any):
    made = owner_api.post(URL, BODY).json()
    url = f"{URL}{made['id']}/"

    answers = [api.post(URL, BODY), api.patch(url, {}), api.post(f"{url}roll/"), api.delete(url)]

    assert {answer.json()["detail"] for answer in answers} == {"Your organization access level is insufficient."}


def test_routes__secret_key__cannot_manage_keys(owner_api: Any):
    made = owner_api.post(URL, BODY).json()

    answer = bearer(made["value"]).get(URL)

    assert (answer.status_code, answer.json()["detail"]) == (
        403,
        "This action does not support project secret API key access",
    )


def test_routes__key_without_project_scope__is_refused(owner: User, project: Project, client_for: ClientFor):
    answer = client_for(owner, scopes=["project:read"]).post(URL, BODY)

    assert answer.json()["detail"] == "API key missing required scope 'project:write'"


def test_writes__stale_session__must_sign_in_again(owner: User, project: Project, session_for: Callable[[User], Any]):
    session = session_for(owner)
    made = session.post(URL, BODY).json()
    store = session.session
    store["signed_in_at"] -= 2 * 3600 + 5
    store.save()
    url = f"{URL}{made['id']}/"

    answers = [session.post(URL, BODY), session.patch(url, {}), session.post(f"{url}roll/"), session.delete(url)]

    assert {answer.json()["code"] for answer in answers} == {"sensitive_action_required_reauth"}

from typing import Any
from uuid import uuid4

import pytest

from projects import services
from projects.models import Level, Organization, Project, User
from tests.cast import ClientFor, bearer, error, key_for


def test_me__member__is_the_documented_object(api: Any, member: User, project: Project, organization: Organization):
    answer = api.get("/api/users/@me/")

    assert answer.status_code == 200
    content = answer.json()
    assert content == {
        "id": member.pk,
        "uuid": str(member.uuid),
        "distinct_id": str(member.distinct_id),
        "email": "member@example.com",
        "first_name": "Mel",
        "last_name": "",
        "is_staff": False,
        "is_email_verified": None,
        "date_joined": content["date_joined"],
        "team": {
            "id": project.pk,
            "uuid": str(project.uuid),
            "organization": str(organization.pk),
            "project_id": project.pk,
            "api_token": project.api_token,
            "name": "Shop",
            "timezone": "UTC",
            "ingested_event": False,
            "is_demo": False,
        },
        "organization": api.get("/api/organizations/@current/").json(),
        "organizations": [
            {
                "id": str(organization.pk),
                "name": "Acme",
                "slug": "acme",
                "logo_media_id": None,
                "membership_level": 1,
                "members_can_use_personal_api_keys": True,
            }
        ],
    }


def test_me__own_uuid__is_the_same_and_others_are_not_found(api: Any, member: User, owner: User):
    assert api.get(f"/api/users/{member.uuid}/").json() == api.get("/api/users/@me").json()
    for other in (owner.uuid, "x", owner.pk, "@you"):
        assert api.get(f"/api/users/{other}/").json()["detail"] == "Not found."


def test_me__user_without_organization__has_neither_team_nor_organization(db: None):
    client = bearer(key_for(User.objects.create_user("alone@example.com")))

    content = client.get("/api/users/@me/").json()

    assert (content["team"], content["organization"], content["organizations"]) == (None, None, [])


def test_me__key_check_of_clients__is_told_by_the_status(member: User, project: Project, client_for: ClientFor):
    assert bearer("phx_wrong").get("/api/users/@me").status_code == 401
    assert client_for(member, scopes=["experiment:write"]).get("/api/users/@me").status_code == 403
    assert client_for(member, scopes=["user:read"]).get("/api/users/@me").status_code == 200


def test_me__key_for_one_project__is_exempt(member: User, project: Project, client_for: ClientFor):
    restricted = client_for(member, scoped_teams=[project.pk], scoped_organizations=[project.organization_id])

    assert restricted.get("/api/users/@me/").status_code == 200


def test_update__names__are_kept_and_nothing_else(api: Any, member: User):
    answer = api.patch(
        "/api/users/@me/", {"first_name": "Melanie", "last_name": "", "email": "x@y.z", "is_staff": True}
    )

    assert answer.status_code == 200
    member.refresh_from_db()
    assert (member.first_name, member.email, member.is_staff) == ("Melanie", "member@example.com", False)


def test_update__current_team__moves_user_and_the_current_project(api: Any, member: User, project: Project):
    second = services.create_organization(name="Second")
    services.join_organization(user=member, organization=second, level=Level.MEMBER)
    blog, _ = services.create_project(organization=second, name="Blog")

    content = api.patch("/api/users/@me/", {"set_current_team": str(blog.pk)}).json()

    assert (content["team"]["name"], content["organization"]["name"]) == ("Blog", "Second")
    assert api.get("/api/projects/@current/").json()["name"] == "Blog"


def test_update__current_organization__enters_its_first_project(api: Any, member: User, project: Project):
    second = services.create_organization(name="Second")
    services.join_organization(user=member, organization=second, level=Level.MEMBER)
    services.create_project(organization=second, name="Blog")

    content = api.patch("/api/users/@me/", {"set_current_organization": str(second.pk)}).json()

    assert (content["team"]["name"], content["organization"]["name"]) == ("Blog", "Second")


@pytest.mark.parametrize("value", [7_000_000, -1, 2**70])
def test_update__unknown_team__does_not_exist(api: Any, value: int):
    answer = api.patch("/api/users/@me/", {"set_current_team": value})

    assert answer.status_code == 400
    assert answer.json() == error(
        "does_not_exist", f'Invalid pk "{value}" - object does not exist.', "set_current_team"
    )


def test_update__team_of_others__does_not_exist(api: Any, outsider: User):
    answer = api.patch("/api/users/@me/", {"set_current_team": outsider.current_project_id})

    assert (answer.status_code, answer.json()["code"]) == (400, "does_not_exist")


@pytest.mark.parametrize(("value", "received"), [("x", "str"), (True, "bool"), ([1], "list"), (1.5, "float")])
def test_update__team_that_is_no_number__is_refused(api: Any, value: object, received: str):
    answer = api.patch("/api/users/@me/", {"set_current_team": value})

    assert answer.json() == error(
        "incorrect_type", f"Incorrect type. Expected pk value, received {received}.", "set_current_team"
    )


def test_update__unknown_organization__does_not_exist(api: Any, outsider: User):
    for unknown in (uuid4(), outsider.current_organization_id):
        answer = api.patch("/api/users/@me/", {"set_current_organization": str(unknown)})
        assert answer.json() == error(
            "does_not_exist", f'Invalid pk "{unknown}" - object does not exist.', "set_current_organization"
        )


def test_users__list__is_no_endpoint(api: Any):
    assert api.get("/api/users/").json()["detail"] == "Endpoint not found."

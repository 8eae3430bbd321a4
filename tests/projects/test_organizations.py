from typing import Any

from projects import services
from projects.models import Level, Organization, Project, User
from tests.cast import ClientFor, error

LEVEL_TOO_LOW = error(
    "permission_denied", "Your organization access level is insufficient.", type="authentication_error"
)


def test_retrieve__member__is_the_documented_object(api: Any, organization: Organization):
    answer = api.get(f"/api/organizations/{organization.pk}/")

    assert answer.status_code == 200
    content = answer.json()
    assert {name: value for name, value in content.items() if not name.endswith("_at")} == {
        "id": str(organization.pk),
        "name": "Acme",
        "slug": "acme",
        "logo_media_id": None,
        "membership_level": 1,
        "members_can_use_personal_api_keys": True,
    }
    assert list(content) == [
        "id",
        "name",
        "slug",
        "logo_media_id",
        "created_at",
        "updated_at",
        "membership_level",
        "members_can_use_personal_api_keys",
    ]
    assert content["created_at"].endswith("Z")


def test_retrieve__current__is_the_callers_own(api: Any, organization: Organization):
    assert api.get("/api/organizations/@current").json()["id"] == str(organization.pk)


def test_list__member_of_two__sees_both_and_no_other(
    api: Any, member: User, outsider: User, organization: Organization
):
    second = services.create_organization(name="Second")
    services.join_organization(user=member, organization=second, level=Level.OWNER)

    content = api.get("/api/organizations/").json()

    assert [(found["name"], found["membership_level"]) for found in content["results"]] == [("Acme", 1), ("Second", 15)]
    assert (content["count"], content["next"], content["previous"]) == (2, None, None)


def test_list__key_scoped_to_one__sees_only_that(member: User, organization: Organization, client_for: ClientFor):
    services.join_organization(
        user=member, organization=services.create_organization(name="Second"), level=Level.MEMBER
    )
    client = client_for(member, scoped_organizations=[organization.pk])

    assert [found["name"] for found in client.get("/api/organizations/").json()["results"]] == ["Acme"]


def test_update__admin__changes_name_and_keeps_slug(admin: User, organization: Organization, client_for: ClientFor):
    answer = client_for(admin).patch(
        f"/api/organizations/{organization.pk}/", {"name": " Acme Inc. ", "slug": "other", "id": "x"}
    )

    assert answer.status_code == 200
    assert (answer.json()["name"], answer.json()["slug"]) == ("Acme Inc.", "acme")


def test_update__keys_forbidden__admins_key_still_works_and_members_does_not(
    admin: User, member: User, organization: Organization, client_for: ClientFor
):
    url = f"/api/organizations/{organization.pk}/"
    as_admin = client_for(admin)

    assert as_admin.patch(url, {"members_can_use_personal_api_keys": "false"}).status_code == 200

    assert as_admin.get(url).json()["members_can_use_personal_api_keys"] is False
    assert client_for(member).get(url).json() == error(
        "permission_denied",
        "Organization 'Acme' does not allow using personal API keys. "
        "Contact an admin to enable personal API keys for this organization.",
        type="authentication_error",
    )


def test_update__member__is_refused(api: Any, organization: Organization):
    answer = api.patch(f"/api/organizations/{organization.pk}/", {"name": "Mine"})

    assert (answer.status_code, answer.json()) == (403, LEVEL_TOO_LOW)


def test_update__long_name__is_refused(owner_api: Any):
    answer = owner_api.patch("/api/organizations/@current/", {"name": "x" * 201})

    assert answer.status_code == 400
    assert answer.json() == error("max_length", "Ensure this field has no more than 200 characters.", "name")


def test_create_and_delete__are_not_offered(owner_api: Any, organization: Organization):
    assert owner_api.post("/api/organizations/", {"name": "New"}).status_code == 405
    assert owner_api.delete(f"/api/organizations/{organization.pk}/").status_code == 405


def test_retrieve__outsider__does_not_learn_that_it_exists(
    outsider_api: Any, organization: Organization, project: Project
):
    for verb in (outsider_api.get, outsider_api.patch):
        answer = verb(f"/api/organizations/{organization.pk}/")
        assert (answer.status_code, answer.json()["detail"]) == (404, "Not found.")

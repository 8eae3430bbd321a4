from typing import Any

import pytest

from projects import roles
from projects.models import Organization, Role, RoleMembership, User
from tests.cast import error

BASE = "/api/organizations/@current/roles/"


@pytest.fixture
def role(organization: Organization, owner: User) -> Role:
    return roles.create_role(organization=organization, name="Approvers", user=owner)


def test_create__name__gives_an_empty_role(owner_api: Any, owner: User):
    answer = owner_api.post(BASE, {"name": " Approvers "})

    assert answer.status_code == 201
    content = answer.json()
    assert list(content) == ["id", "name", "created_at", "created_by", "members", "is_default"]
    assert (content["name"], content["members"], content["is_default"]) == ("Approvers", [], False)
    assert content["created_by"]["id"] == owner.pk


def test_create__taken_name_in_other_case__is_refused(owner_api: Any, role: Role):
    answer = owner_api.post(BASE, {"name": "APPROVERS"})

    assert answer.status_code == 400
    assert answer.json() == error("unique", "There is already a role with this name.", "name")


def test_update__taken_name__is_refused_and_own_name_is_fine(owner_api: Any, role: Role, organization: Organization):
    other = roles.create_role(organization=organization, name="Others", user=None)

    assert owner_api.patch(f"{BASE}{other.pk}/", {"name": "approvers"}).json()["code"] == "unique"
    assert owner_api.patch(f"{BASE}{role.pk}/", {"name": "approvers"}).json()["name"] == "approvers"


@pytest.mark.parametrize(
    ("body", "code", "detail"),
    [
        ({}, "required", "This field is required."),
        ({"name": None}, "null", "This field may not be null."),
        ({"name": "  "}, "blank", "This field may not be blank."),
        ({"name": ["x"]}, "invalid_input", "Not a valid string."),
        ({"name": "x" * 201}, "max_length", "Ensure this field has no more than 200 characters."),
    ],
)
def test_create__bad_name__is_refused(owner_api: Any, body: dict[str, Any], code: str, detail: str):
    answer = owner_api.post(BASE, body)

    assert (answer.status_code, answer.json()) == (400, error(code, detail, "name"))


def test_delete__role__takes_its_memberships_along(owner_api: Any, role: Role, member: User):
    roles.add_to_role(role=role, user_uuid=member.uuid)

    answer = owner_api.delete(f"{BASE}{role.pk}/")

    assert (answer.status_code, answer.content) == (204, b"")
    assert not RoleMembership.objects.exists()
    assert owner_api.get(f"{BASE}{role.pk}/").status_code == 404


def test_list__two_roles__in_order_of_creation_with_members(
    api: Any, role: Role, organization: Organization, member: User, owner: User
):
    roles.create_role(organization=organization, name="Others", user=None)
    for user in (member, owner):
        roles.add_to_role(role=role, user_uuid=user.uuid)

    content = api.get(BASE).json()

    assert [found["name"] for found in content["results"]] == ["Approvers", "Others"]
    assert [one["user"]["email"] for one in content["results"][0]["members"]] == [member.email, owner.email]


@pytest.mark.parametrize("size", [1, 5])
def test_list__any_number_of_roles__costs_the_same_queries(
    api: Any, organization: Organization, member: User, django_assert_num_queries: Any, size: int
):
    for number in range(size):
        role = roles.create_role(organization=organization, name=f"Role {number}", user=member)
        roles.add_to_role(role=role, user_uuid=member.uuid)
    api.get(BASE)  # marks the key as used

    with django_assert_num_queries(6):
        api.get(BASE)


def test_memberships__create__gives_the_documented_object(owner_api: Any, role: Role, member: User):
    answer = owner_api.post(f"{BASE}{role.pk}/role_memberships/", {"user_uuid": str(member.uuid)})

    assert answer.status_code == 201
    content = answer.json()
    assert list(content) == ["id", "role_id", "organization_member", "user", "joined_at", "updated_at"]
    assert content["role_id"] == str(role.pk)
    assert content["user"]["uuid"] == str(member.uuid)
    assert content["organization_member"]["level"] == 1
    assert owner_api.get(f"{BASE}{role.pk}/role_memberships/{content['id']}").json() == content
    assert owner_api.get(f"{BASE}{role.pk}/role_memberships").json()["results"] == [content]


def test_memberships__second_time__is_refused(owner_api: Any, role: Role, member: User):
    roles.add_to_role(role=role, user_uuid=member.uuid)

    answer = owner_api.post(f"{BASE}{role.pk}/role_memberships/", {"user_uuid": str(member.uuid)})

    assert (answer.status_code, answer.json()) == (400, error("invalid_input", "User is already part of the role."))


def test_memberships__user_of_another_organization__does_not_exist(owner_api: Any, role: Role, outsider: User):
    answer = owner_api.post(f"{BASE}{role.pk}/role_memberships/", {"user_uuid": str(outsider.uuid)})

    assert answer.status_code == 400
    assert answer.json() == error("invalid_input", "User does not exist.", "user_uuid")


def test_memberships__malformed_uuid__is_refused(owner_api: Any, role: Role):
    answer = owner_api.post(f"{BASE}{role.pk}/role_memberships/", {"user_uuid": "x"})

    assert answer.json() == error("invalid_input", "Must be a valid UUID.", "user_uuid")


def test_memberships__delete__keeps_role_and_member(owner_api: Any, role: Role, member: User):
    place = roles.add_to_role(role=role, user_uuid=member.uuid)

    answer = owner_api.delete(f"{BASE}{role.pk}/role_memberships/{place.pk}/")

    assert answer.status_code == 204
    assert Role.objects.filter(pk=role.pk).exists()
    assert member.memberships.exists()


def test_memberships__role_of_another_organization__is_not_found(outsider_api: Any, role: Role):
    for path in (f"{role.pk}/", f"{role.pk}/role_memberships/", "not-a-uuid/role_memberships/"):
        answer = outsider_api.get(BASE + path)
        assert (answer.status_code, answer.json()["detail"]) == (404, "Not found.")


def test_writes__member__are_refused(api: Any, role: Role, member: User):
    place = roles.add_to_role(role=role, user_uuid=member.uuid)
    places = f"{BASE}{role.pk}/role_memberships/"

    answers = [
        api.post(BASE, {"name": "Mine"}),
        api.patch(f"{BASE}{role.pk}/", {"name": "Mine"}),
        api.delete(f"{BASE}{role.pk}/"),
        api.post(places, {"user_uuid": str(member.uuid)}),
        api.delete(f"{places}{place.pk}/"),
    ]

    assert {answer.json()["detail"] for answer in answers} == {"Your organization access level is insufficient."}
    assert Role.objects.get().name == "Approvers"

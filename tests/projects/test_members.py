import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from common.errors import Invalid
from projects import members, services
from projects.models import Level, Organization, OrganizationMembership, Project, Role, RoleMembership, User
from tests.cast import ClientFor, error

LEVEL_TOO_LOW = error(
    "permission_denied", "Your organization access level is insufficient.", type="authentication_error"
)
LAST_OWNER = error("invalid_input", "An organization must keep at least one owner.")


def level_of(user: Any) -> int | None:
    return OrganizationMembership.objects.filter(user=user).values_list("level", flat=True).first()


def url_of(user: User | str) -> str:
    return f"/api/organizations/@current/members/{user if isinstance(user, str) else user.uuid}/"


def test_list__member__sees_all_in_order_of_joining(api: Any, owner: User, member: User):
    content = api.get("/api/organizations/@current/members/").json()

    assert [(found["user"]["email"], found["level"]) for found in content["results"]] == [
        ("owner@example.com", 15),
        ("member@example.com", 1),
    ]
    assert list(content["results"][0]) == ["id", "user", "level", "joined_at", "updated_at"]
    assert content["results"][0]["user"] == {
        "id": owner.pk,
        "uuid": str(owner.uuid),
        "distinct_id": str(owner.distinct_id),
        "first_name": "Olive",
        "last_name": "Owner",
        "email": "owner@example.com",
        "is_email_verified": None,
        "hedgehog_config": None,
        "role_at_organization": None,
    }


@pytest.mark.parametrize(
    ("actor", "target", "level", "status"),
    [
        ("member", "member", 8, 403),
        ("member", "owner", 1, 403),
        ("member", "nobody", 1, 403),
        ("admin", "member", 8, 200),
        ("admin", "member", 15, 403),
        ("admin", "owner", 1, 403),
        ("admin", "admin", 1, 200),
        ("admin", "admin", 15, 403),
        ("admin", "nobody", 1, 404),
        ("owner", "member", 15, 200),
        ("owner", "admin", 15, 200),
        ("owner", "owner", 8, 400),
        ("owner", "member", 7, 400),
    ],
)
def test_update__level__is_limited_to_the_actors_own(
    request: pytest.FixtureRequest,
    project: Project,
    admin: User,
    client_for: ClientFor,
    actor: str,
    target: str,
    level: int,
    status: int,
):
    named = "9d4f8b8e-45e3-4b65-9c69-0d0b0d2f3a11" if target == "nobody" else request.getfixturevalue(target)
    before = None if target == "nobody" else level_of(named)

    answer = client_for(request.getfixturevalue(actor)).patch(url_of(named), {"level": level})

    assert answer.status_code == status
    if target != "nobody":
        assert level_of(named) == (level if status == 200 else before)
    if status == 403:
        assert answer.json() == LEVEL_TOO_LOW


def test_update__unknown_level__names_it(owner_api: Any, member: User):
    answer = owner_api.patch(url_of(member), {"level": 7})

    assert answer.json() == error("invalid_choice", '"7" is not a valid choice.', "level")


def test_update__last_owner__is_refused(owner_api: Any):
    assert owner_api.patch(url_of("@me"), {"level": 8}).json() == LAST_OWNER


def test_update__empty_body__changes_nothing(owner_api: Any, member: User):
    answer = owner_api.patch(url_of(member))

    assert (answer.status_code, answer.json()["level"]) == (200, 1)


@pytest.mark.parametrize(
    ("actor", "target", "status"),
    [
        ("member", "@me", 204),
        ("member", "member", 204),
        ("member", "owner", 403),
        ("admin", "member", 204),
        ("admin", "owner", 403),
        ("admin", "@me", 204),
        ("owner", "admin", 204),
        ("owner", "@me", 400),
    ],
)
def test_delete__is_limited_and_anyone_may_leave(
    request: pytest.FixtureRequest,
    project: Project,
    admin: User,
    client_for: ClientFor,
    actor: str,
    target: str,
    status: int,
):
    acting = request.getfixturevalue(actor)
    affected = acting if target == "@me" else request.getfixturevalue(target)

    answer = client_for(acting).delete(url_of("@me" if target == "@me" else affected))

    assert answer.status_code == status
    assert (level_of(affected) is None) == (status == 204)
    if status == 204:
        assert answer.content == b""
    else:
        assert answer.json() == (LAST_OWNER if status == 400 else LEVEL_TOO_LOW)


def test_delete__removed_member__loses_roles_and_current_project(
    owner_api: Any, member: User, organization: Organization
):
    role = Role.objects.create(organization=organization, name="Approvers")
    RoleMembership.objects.create(role=role, membership=member.memberships.get())

    owner_api.delete(url_of(member))

    member.refresh_from_db()
    assert (member.current_organization, member.current_project) == (None, None)
    assert not RoleMembership.objects.exists()
    assert Role.objects.exists()


def test_retrieve_and_create__are_not_offered(owner_api: Any, member: User):
    assert owner_api.get(url_of(member)).status_code == 405
    assert owner_api.post("/api/organizations/@current/members/", {"level": 1}).status_code == 405


def test_list__outsider__finds_no_organization(outsider_api: Any, organization: Organization):
    answer = outsider_api.get(f"/api/organizations/{organization.pk}/members/")

    assert (answer.status_code, answer.json()["detail"]) == (404, "Not found.")


def test_update__stale_session__must_sign_in_again(
    organization: Organization, owner: User, member: User, session_for: Callable[[User], Any]
):
    client = session_for(owner)
    session = client.session
    session["signed_in_at"] -= 2 * 3600 + 5
    session.save()

    for answer in (client.patch(url_of(member), {"level": 8}), client.delete(url_of(member))):
        assert answer.status_code == 403
        assert answer.json() == error(
            "sensitive_action_required_reauth",
            "This action requires you to be recently authenticated.",
            type="authentication_error",
        )
    assert client.get("/api/organizations/@current/members/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_remove__two_owners_leave_at_once__one_must_stay():
    organization = services.create_organization(name="Acme")
    owners = [
        services.create_user(email=f"{name}@example.com", password=None, level=Level.OWNER, organization=organization)
        for name in ("one", "two")
    ]
    refused = []

    def leave(user: User) -> None:
        try:
            members.remove_member(membership=user.memberships.get(), actor=user, actor_level=Level.OWNER)
        except Invalid as refusal:
            refused.append(refusal.detail)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=leave, args=[user]) for user in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert refused == ["An organization must keep at least one owner."]
    assert OrganizationMembership.objects.count() == 1

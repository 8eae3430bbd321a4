"""Two at once: limits hold, names stay unique, and a row that is gone is missing, never an error of ours."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from common.errors import Invalid, Missing
from projects import members, personal_keys, roles, secret_keys, services, tokens
from projects.models import Level, Organization, PersonalAPIKey, Project, ProjectSecretAPIKey, Role, User


def at_once(act: Callable[[int], Any], times: int = 2) -> list[Any]:
    """What each of several simultaneous calls came to: its result, or its refusal."""
    start = threading.Barrier(times)
    outcomes: list[Any] = []

    def run(number: int) -> None:
        try:
            start.wait()
            outcomes.append(act(number))
        except (Invalid, Missing) as refusal:
            outcomes.append(refusal)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[number]) for number in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == times
    return outcomes


def refusals(outcomes: list[Any]) -> list[str]:
    return [outcome.detail for outcome in outcomes if isinstance(outcome, Invalid | Missing)]


@pytest.fixture
def user(transactional_db: None) -> User:
    organization = services.create_organization(name="Acme")
    made = services.create_user(email="owner@example.com", password=None, level=Level.OWNER, organization=organization)
    services.create_project(organization=organization, name="Shop")
    return made


def test_personal_keys__two_tenth_ones__one_is_refused(user: User):
    for number in range(9):
        personal_keys.create_own_key(user=user, label=f"{number}", scopes=["*"])

    outcomes = at_once(lambda _: personal_keys.create_own_key(user=user, label="tenth", scopes=["*"]))

    assert len(refusals(outcomes)) == 1
    assert PersonalAPIKey.objects.count() == 10


def test_secret_keys__two_with_one_label__one_is_refused(user: User):
    project = Project.objects.get()

    outcomes = at_once(
        lambda _: secret_keys.create_secret_key(project=project, user=user, label="CI", scopes=["experiment:read"])
    )

    assert refusals(outcomes) == ["Project secret API key with label 'CI' already exists."]
    assert ProjectSecretAPIKey.objects.count() == 1


def test_roles__two_with_one_name__one_is_refused(user: User):
    organization = Organization.objects.get()

    outcomes = at_once(lambda _: roles.create_role(organization=organization, name="Approvers", user=user))

    assert refusals(outcomes) == ["There is already a role with this name."]


def test_roles__one_member_added_twice__is_in_once(user: User):
    role = roles.create_role(organization=Organization.objects.get(), name="Approvers", user=user)

    outcomes = at_once(lambda _: roles.add_to_role(role=role, user_uuid=user.uuid))

    assert refusals(outcomes) == ["User is already part of the role."]
    assert role.role_memberships.count() == 1


def test_users__one_address_twice__one_is_refused(user: User):
    organization = Organization.objects.get()

    outcomes = at_once(
        lambda number: services.create_user(
            email=f"{'NEW' if number else 'new'}@example.com", password=None, level=1, organization=organization
        )
    )

    assert refusals(outcomes) == ["There is already a user with this e-mail address."]


def test_secret_token__rotated_twice_at_once__both_new_secrets_are_valid(user: User):
    project = Project.objects.get()
    first_mask = project.secret_token_mask

    outcomes = at_once(lambda _: tokens.rotate_secret_token(project=project, user=user))

    project.refresh_from_db()
    masks = {f"phs_...{secret[-4:]}" for _, secret in outcomes}
    assert masks == {project.secret_token_mask, project.secret_token_backup_mask}
    assert first_mask not in masks


def test_gone_rows__are_missing(user: User):
    """Between the look-up of a request and its write, another request may delete the row."""
    organization, project = Organization.objects.get(), Project.objects.get()
    personal, _ = services.create_personal_api_key(user=user, label="a", scopes=["*"])
    secret, _ = secret_keys.create_secret_key(project=project, user=user, label="a", scopes=["experiment:read"])
    role = roles.create_role(organization=organization, name="Approvers", user=user)
    membership = user.memberships.get()
    for model in (PersonalAPIKey, ProjectSecretAPIKey, Role):
        model.objects.all().delete()
    organization.delete()
    acts: list[Callable[[], Any]] = [
        lambda: personal_keys.update_personal_api_key(key=personal, changes={"label": "b"}),
        lambda: personal_keys.roll_personal_api_key(key=personal),
        lambda: secret_keys.update_secret_key(key=secret, user=user, changes={"label": "b"}),
        lambda: secret_keys.roll_secret_key(key=secret, user=user),
        lambda: secret_keys.delete_secret_key(key=secret, user=user),
        lambda: roles.rename_role(role=role, name="b"),
        lambda: roles.add_to_role(role=role, user_uuid=user.uuid),
        lambda: members.change_level(membership=membership, level=1, actor_level=15),
        lambda: members.remove_member(membership=membership, actor=None, actor_level=None),
        lambda: services.update_organization(organization=Organization(pk=membership.organization_id), changes={}),
        lambda: services.update_project(project=project, user=user, changes={"name": "b"}),
        lambda: tokens.rotate_secret_token(project=project, user=user),
    ]

    for act in acts:
        with pytest.raises(Missing):
            act()

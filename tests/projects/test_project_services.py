import pytest

from common.errors import Invalid
from projects import services
from projects.authentication import find_personal, find_secret
from projects.models import Level, Organization, Project, User


def test_create_organization__same_name_twice__slugs_differ(db):
    first, second = (services.create_organization(name="Acme & Söhne") for _ in range(2))

    assert first.slug == "acme-sohne"
    assert second.slug.startswith("acme-sohne-")


def test_create_user__taken_email_in_other_case__is_refused(organization: Organization, owner: User):
    with pytest.raises(Invalid) as refused:
        services.create_user(email="OWNER@example.com", password=None, level=1, organization=organization)

    assert (refused.value.code, refused.value.attr) == ("unique", "email")


def test_create_project__member_without_one__gets_it_as_current(project: Project, member: User):
    assert member.current_project_id == project.pk
    assert member.current_organization_id == project.organization_id


def test_create_project__second_one__leaves_current_project(project: Project, member: User):
    services.create_project(organization=project.organization, name="Second")

    member.refresh_from_db()
    assert member.current_project_id == project.pk


def test_create_project__secret_token__opens_it_and_is_stored_hashed_only(organization: Organization):
    project, secret = services.create_project(organization=organization, name="Shop")

    found = find_secret(secret)
    assert found is not None
    assert (found.project_id, found.key) == (project.pk, None)
    assert secret not in repr(Project.objects.filter(pk=project.pk).values().get())
    assert project.secret_token_mask == f"phs_...{secret[-4:]}"


def test_create_personal_api_key__value__opens_it_and_has_the_documented_form(member: User):
    key, value = services.create_personal_api_key(user=member, label="ci", scopes=["experiment:read"])

    found = find_personal(value)
    assert found is not None
    assert found.key == key
    assert value.startswith("phx_")
    assert 47 <= len(value) <= 64
    assert value[4:].isalnum()
    assert value.isascii()


def test_create_personal_api_key__unknown_scope__is_refused(member: User):
    with pytest.raises(Invalid, match="Invalid scope: x:read"):
        services.create_personal_api_key(user=member, label="ci", scopes=["x:read"])


def test_delete_project__current_one__members_enter_another(project: Project, member: User):
    second, _ = services.create_project(organization=project.organization, name="Second")

    services.delete_project(project=project)

    member.refresh_from_db()
    assert member.current_project_id == second.pk


def test_settle_current__left_organization__another_is_entered(member: User, outsider: User, project: Project):
    services.join_organization(user=outsider, organization=project.organization, level=Level.MEMBER)
    outsider.memberships.exclude(organization=project.organization).delete()

    services.settle_current([outsider])

    assert (outsider.current_organization_id, outsider.current_project_id) == (project.organization_id, project.pk)

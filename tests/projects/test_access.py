"""Scopes, restrictions of keys, membership: what each is refused with, and what passes."""

from collections.abc import Callable
from typing import Any

import pytest

from projects import services
from projects.models import Level, Organization, Project, User
from projects.scopes import SCOPE_OBJECTS, has_scope
from tests.cast import ClientFor, bearer, error, key_for

LEVELS = ("member", "admin", "owner")


def denied(detail: str) -> dict[str, str | None]:
    return error("permission_denied", detail, type="authentication_error")


# --- Scopes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("granted", "wanted", "enough"),
    [
        (["*"], "experiment:write", True),
        (["experiment:write"], "experiment:write", True),
        (["experiment:write"], "experiment:read", True),
        (["experiment:read"], "experiment:read", True),
        (["experiment:read"], "experiment:write", False),
        (["experiment_holdout:write"], "experiment:read", False),
        (["experiment:write"], "experiment_holdout:read", False),
        ([], "experiment:read", False),
        (["feature_flag:write", "experiment:read"], "experiment:read", True),
    ],
)
def test_has_scope__write_includes_read_and_nothing_else(granted: list[str], wanted: str, enough: bool):
    assert has_scope(granted, wanted) is enough


# Where a plain read and a plain write of each object lead, and the scope object they need.
ROUTES = [
    ("/api/projects/@current/experiments/", "experiment"),
    ("/api/projects/@current/feature_flags/", "feature_flag"),
    ("/api/projects/@current/activity_log/", "activity_log"),
    ("/api/projects/@current/project_secret_api_keys/", "project"),
    ("/api/projects/@current/", "project"),
    ("/api/projects/", "project"),
    ("/api/organizations/", "organization"),
    ("/api/organizations/@current/", "organization"),
    ("/api/organizations/@current/projects/", "project"),
    ("/api/organizations/@current/members/", "organization_member"),
    ("/api/organizations/@current/roles/", "organization_member"),
    ("/api/users/@me/", "user"),
]


@pytest.mark.parametrize(("path", "name"), ROUTES)
def test_read__needs_exactly_its_scope(owner: User, project: Project, client_for: ClientFor, path: str, name: str):
    others = [f"{other}:write" for other in SCOPE_OBJECTS if other != name]

    answer = client_for(owner, scopes=others).get(path)

    assert (answer.status_code, answer.json()) == (403, denied(f"API key missing required scope '{name}:read'"))
    for verb in ("get", "head", "options"):
        assert getattr(client_for(owner, scopes=[f"{name}:read"]), verb)(path).status_code == 200
    assert client_for(owner, scopes=[f"{name}:write"]).get(path).status_code == 200
    assert client_for(owner, scopes=[]).get(path).status_code == 403


@pytest.mark.parametrize(("path", "name"), ROUTES)
@pytest.mark.parametrize("verb", ["post", "patch", "put", "delete"])
def test_write__with_a_reading_key__is_told_the_writing_scope(
    owner: User, project: Project, client_for: ClientFor, path: str, name: str, verb: str
):
    answer = getattr(client_for(owner, scopes=[f"{name}:read"]), verb)(path)

    assert (answer.status_code, answer.json()) == (403, denied(f"API key missing required scope '{name}:write'"))


# --- Restrictions of keys ----------------------------------------------------------------------------------------


@pytest.fixture
def second(project: Project) -> Project:
    return services.create_project(organization=project.organization, name="Second")[0]


@pytest.mark.parametrize("path", ["/api/projects/{}/", "/api/projects/{}/experiments/", "/api/projects/{}"])
def test_scoped_teams__opens_its_projects_only(
    member: User, project: Project, second: Project, client_for: ClientFor, path: str
):
    client = client_for(member, scoped_teams=[project.pk])

    assert client.get(path.format(project.pk)).status_code == 200
    answer = client.get(path.format(second.pk))
    assert (answer.status_code, answer.json()) == (
        403,
        denied(f"API key does not have access to the requested project: ID {second.pk}."),
    )


@pytest.mark.parametrize(
    "path",
    [
        "/api/projects/",
        "/api/organizations/",
        "/api/organizations/@current/",
        "/api/organizations/@current/projects/",
        "/api/organizations/@current/projects/1/",
        "/api/organizations/@current/members/",
        "/api/organizations/@current/roles/",
    ],
)
def test_scoped_teams__paths_without_project__are_closed(
    member: User, project: Project, client_for: ClientFor, path: str
):
    answer = client_for(member, scoped_teams=[project.pk]).get(path)

    assert (answer.status_code, answer.json()) == (
        403,
        denied("API keys with scoped projects are only supported on project-based endpoints."),
    )


def test_scoped_organizations__opens_these_only(member: User, project: Project, client_for: ClientFor):
    elsewhere = services.create_organization(name="Second")
    services.join_organization(user=member, organization=elsewhere, level=Level.MEMBER)
    other, _ = services.create_project(organization=elsewhere, name="Blog")
    client = client_for(member, scoped_organizations=[elsewhere.pk])

    assert client.get(f"/api/projects/{other.pk}/").status_code == 200
    assert client.get(f"/api/organizations/{elsewhere.pk}/projects/").status_code == 200
    expected = denied(f"API key does not have access to the requested organization: ID {project.organization_id}.")
    for path in (f"/api/projects/{project.pk}/", f"/api/organizations/{project.organization_id}/members/"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (403, expected)


def test_restrictions__both__teams_are_named_first(
    member: User, project: Project, second: Project, client_for: ClientFor
):
    services.join_organization(user=member, organization=services.create_organization(name="Else"), level=Level.MEMBER)
    elsewhere = Organization.objects.get(name="Else")
    client = client_for(member, scoped_teams=[second.pk], scoped_organizations=[elsewhere.pk])

    assert client.get(f"/api/projects/{project.pk}/").json() == denied(
        f"API key does not have access to the requested project: ID {project.pk}."
    )
    assert client.get(f"/api/projects/{second.pk}/").json() == denied(
        f"API key does not have access to the requested organization: ID {project.organization_id}."
    )


@pytest.mark.parametrize(("level", "open_to_key"), [("member", False), ("admin", True), ("owner", True)])
def test_keys_forbidden__admins_and_above_are_exempt_and_sessions_too(
    request: pytest.FixtureRequest,
    project: Project,
    client_for: ClientFor,
    session_for: Callable[[User], Any],
    level: str,
    open_to_key: bool,
):
    user: User = request.getfixturevalue(level)
    services.update_organization(
        organization=project.organization, changes={"members_can_use_personal_api_keys": False}
    )
    client = client_for(user)
    refusal = denied(
        "Organization 'Acme' does not allow using personal API keys. "
        "Contact an admin to enable personal API keys for this organization."
    )

    for path in (f"/api/projects/{project.pk}/experiments/", "/api/organizations/@current/"):
        answer = client.get(path)
        assert answer.status_code == (200 if open_to_key else 403)
        if not open_to_key:
            assert answer.json() == refusal
        assert session_for(user).get(path).status_code == 200
    assert client.get("/api/users/@me/").status_code == 200
    assert client.get("/api/personal_api_keys/@current/").status_code == 200
    assert client.get("/api/organizations/").json()["count"] == int(open_to_key)
    assert client.get("/api/projects/").json()["count"] == int(open_to_key)


def test_restriction_to_a_left_organization__no_longer_opens_it(member: User, project: Project, client_for: ClientFor):
    client = client_for(member, scoped_teams=[project.pk])
    member.memberships.all().delete()

    assert client.get(f"/api/projects/{project.pk}/").json() == denied("You don't have access to the project.")


# --- Projects, organizations, membership -------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["0", "999999", "x", "-1", "1.5", "9" * 30, "@me", "%40other", "%E2%91%A0"])
@pytest.mark.parametrize("resource", ["experiments", "feature_flags", "activity_log", "project_secret_api_keys"])
def test_project__unknown_or_no_integer__is_not_found(api: Any, project: Project, named: str, resource: str):
    answer = api.get(f"/api/projects/{named}/{resource}/")

    assert (answer.status_code, answer.json()) == (
        404,
        error("not_found", "Project not found.", type="invalid_request"),
    )


@pytest.mark.parametrize("named", ["x", "7", "1" * 38, "{0}", "%00", "@me"])
def test_organization__malformed_or_unknown__is_not_found(api: Any, named: str):
    for path in (f"/api/organizations/{named}/", f"/api/organizations/{named}/members/"):
        answer = api.get(path)
        assert (answer.status_code, answer.json()) == (404, error("not_found", "Not found.", type="invalid_request"))


def test_organization__uuid_without_hyphens_or_in_capitals__is_the_same(api: Any, organization: Organization):
    for named in (organization.pk.hex, str(organization.pk).upper()):
        assert api.get(f"/api/organizations/{named}/").json()["id"] == str(organization.pk)


def test_organization__unknown_uuid__is_not_found(api: Any):
    assert api.get("/api/organizations/9d4f8b8e-45e3-4b65-9c69-0d0b0d2f3a11/").status_code == 404


@pytest.mark.parametrize("verb", ["get", "post", "patch", "delete", "put", "options"])
def test_project__not_a_member__is_told_before_anything_about_it(outsider_api: Any, project: Project, verb: str):
    for path in ("experiments/", "feature_flags/", "activity_log/", "project_secret_api_keys/", ""):
        answer = getattr(outsider_api, verb)(f"/api/projects/{project.pk}/{path}")
        assert (answer.status_code, answer.json()) == (403, denied("You don't have access to the project."))


@pytest.mark.parametrize("level", LEVELS)
def test_project__member_of_any_level__reads_and_writes_its_flags(
    request: pytest.FixtureRequest, project: Project, client_for: ClientFor, level: str
):
    client = client_for(request.getfixturevalue(level))

    assert client.post(f"/api/projects/{project.pk}/feature_flags/", {"key": f"of-{level}"}).status_code == 201


def test_removed_member__loses_access_at_once(member: User, project: Project):
    client = bearer(key_for(member))
    assert client.get(f"/api/projects/{project.pk}/").status_code == 200

    member.memberships.all().delete()

    assert client.get(f"/api/projects/{project.pk}/").status_code == 403
    assert client.get(f"/api/organizations/{project.organization_id}/").status_code == 404


# --- Recent sign-in ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age", "status"), [(2 * 3600 - 60, 201), (2 * 3600 + 5, 403), (None, 403)])
def test_session__age__decides_on_sensitive_writes(
    owner: User, project: Project, session_for: Callable[[User], Any], age: int | None, status: int
):
    client = session_for(owner)
    session = client.session
    if age is None:
        del session["signed_in_at"]
    else:
        session["signed_in_at"] -= age
    session.save()

    body = {"label": "CI", "scopes": ["experiment:read"]}
    assert client.post("/api/projects/@current/project_secret_api_keys/", body).status_code == status
    assert client.post("/api/projects/@current/feature_flags/", {"key": "a-flag"}).status_code == 201


def test_key__any_age__is_recent(owner_api: Any, owner: User):
    owner.personal_api_keys.update(created_at="2020-01-01T00:00:00Z")

    answer = owner_api.patch("/api/projects/@current/reset_token/")

    assert answer.status_code == 200

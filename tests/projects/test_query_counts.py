"""Lists cost the same number of queries whatever their length."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from projects import roles, secret_keys, services
from projects.models import Level, Organization, Project, User
from tests.cast import key_for


def fill(organization: Organization, project: Project, owner: User, number: int) -> None:
    """One more of everything."""
    user = services.create_user(
        email=f"user-{number}@example.com", password=None, level=Level.MEMBER, organization=organization
    )
    role = roles.create_role(organization=organization, name=f"Role {number}", user=owner)
    for member in (user, owner):
        roles.add_to_role(role=role, user_uuid=member.uuid)
    services.create_project(organization=organization, name=f"Project {number}", user=owner)
    secret_keys.create_secret_key(project=project, user=owner, label=f"{number}", scopes=["experiment:read"])
    other = services.create_organization(name=f"Organization {number}")
    services.join_organization(user=owner, organization=other, level=Level.MEMBER)
    key_for(owner)


@pytest.mark.parametrize(
    ("path", "queries"),
    [
        ("/api/organizations/", 4),
        ("/api/organizations/@current/members/", 5),
        ("/api/organizations/@current/projects/", 5),
        ("/api/organizations/@current/roles/", 6),
        ("/api/projects/", 4),
        ("/api/projects/@current/project_secret_api_keys/", 5),
        ("/api/projects/@current/", 3),
        ("/api/users/@me/", 4),
    ],
)
def test_list__one_or_four_of_everything__costs_the_same(
    owner_api: Any, organization: Organization, project: Project, owner: User, path: str, queries: int
):
    for number in range(4):
        fill(organization, project, owner, number)
        owner_api.get(path)  # marks the key as used
        if number in {0, 3}:
            with CaptureQueriesContext(connection) as captured:
                assert owner_api.get(path).status_code == 200
            assert len(captured) == queries, [query["sql"] for query in captured.captured_queries]

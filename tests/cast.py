"""The cast of every test: one organization and project; owner and member are in, outsider has another of each.

    def test_list__member__sees_flags(api, project): ...

`api` asks as the member with a key for everything; `client_for(user, scopes=[...])` makes any other client.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from rest_framework.test import APIClient

from projects import services
from projects.models import Level, Organization, Project, User

PASSWORD = "a long enough passphrase"
ClientFor = Callable[..., APIClient]


@pytest.fixture
def organization(db: None) -> Organization:
    return services.create_organization(name="Acme")


@pytest.fixture
def owner(organization: Organization) -> User:
    return services.create_user(
        email="owner@example.com",
        password=None,
        level=Level.OWNER,
        organization=organization,
        first_name="Olive",
        last_name="Owner",
    )


@pytest.fixture
def admin(organization: Organization) -> User:
    return services.create_user(
        email="admin@example.com", password=None, level=Level.ADMIN, organization=organization, first_name="Ada"
    )


@pytest.fixture
def member(organization: Organization) -> User:
    return services.create_user(
        email="member@example.com", password=None, level=Level.MEMBER, organization=organization, first_name="Mel"
    )


@pytest.fixture
def project(organization: Organization, owner: User, member: User) -> Project:
    made, _ = services.create_project(organization=organization, name="Shop")
    for user in (owner, member):
        user.refresh_from_db()  # it became their current project
    return made


@pytest.fixture
def outsider(db: None) -> User:
    elsewhere = services.create_organization(name="Elsewhere")
    user = services.create_user(
        email="outsider@example.net", password=None, level=Level.OWNER, organization=elsewhere, first_name="Otto"
    )
    services.create_project(organization=elsewhere, name="Foreign")
    user.refresh_from_db()
    return user


def key_for(user: User, scopes: Sequence[str] = ("*",), **restrictions: Any) -> str:
    """The value of a new personal API key of `user`."""
    return services.create_personal_api_key(user=user, label="test", scopes=list(scopes), **restrictions)[1]


def bearer(value: str) -> APIClient:
    """A client that sends `value` as its Bearer credential."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {value}")
    return client


@pytest.fixture
def client_for() -> ClientFor:
    """`client_for(user, scopes=["*"], scoped_teams=[...])`: a client with a new personal key of `user`."""

    def make(user: User, scopes: Sequence[str] = ("*",), **restrictions: Any) -> APIClient:
        return bearer(key_for(user, scopes, **restrictions))

    return make


@pytest.fixture
def session_for() -> Callable[[User], APIClient]:
    """`session_for(user)`: a freshly signed-in client, as a browser's but without CSRF checks."""

    def make(user: User) -> APIClient:
        client = APIClient()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def api(project: Project, member: User, client_for: ClientFor) -> APIClient:
    return client_for(member)


@pytest.fixture
def owner_api(project: Project, owner: User, client_for: ClientFor) -> APIClient:
    return client_for(owner)


@pytest.fixture
def outsider_api(project: Project, outsider: User, client_for: ClientFor) -> APIClient:
    return client_for(outsider)


@pytest.fixture
def anonymous_api(db: None) -> APIClient:
    return APIClient()


def error(code: str, detail: str, attr: str | None = None, type: str = "validation_error") -> dict[str, str | None]:
    """The envelope of an error, to compare a whole answer with."""
    return {"type": type, "code": code, "detail": detail, "attr": attr}

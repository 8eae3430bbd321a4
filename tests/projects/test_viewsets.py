"""Every REST route of the service, found by walking its addresses: declared, scoped, and closed to outsiders."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver

from projects.api.base import OrganizationViewSet, ProjectViewSet, ScopedViewSet
from projects.models import Organization, Project, User
from projects.scopes import SCOPE_OBJECTS, SCOPES
from tests.cast import key_for

# The document and its readers are for everybody.
PUBLIC = re.compile(r"^api/schema")
UUID = "9d4f8b8e-45e3-4b65-9c69-0d0b0d2f3a11"


def _patterns(found: list[Any], prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for entry in found:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _patterns(entry.url_patterns, route)
        else:
            yield route, entry


def rest_routes() -> dict[str, URLPattern]:
    """The routes below `api/` that a viewset of the REST framework answers, by their patterns."""
    patterns = _patterns(get_resolver().url_patterns)
    return {
        route: pattern
        for route, pattern in patterns
        if route.startswith("api/") and not PUBLIC.match(route.replace("^", "")) and hasattr(pattern.callback, "cls")
    }


ROUTES = rest_routes()


def _viewset(pattern: URLPattern) -> type[Any]:
    view: Any = pattern.callback
    found: type[Any] = view.cls
    return found


VIEWSETS: dict[str, type[Any]] = {_viewset(pattern).__name__: _viewset(pattern) for pattern in ROUTES.values()}


def test_walk__finds_what_there_is():
    assert {"FeatureFlagViewSet", "ProjectsViewSet", "ActivityLogViewSet", "PersonalAPIKeyViewSet"} <= set(VIEWSETS)
    assert len(ROUTES) > 40


def test_viewsets__all__are_scoped():
    assert [name for name, viewset in VIEWSETS.items() if not issubclass(viewset, ScopedViewSet)] == []


@pytest.mark.parametrize("name", sorted(VIEWSETS))
def test_viewset__declares_a_known_scope_object(name: str):
    viewset = VIEWSETS[name]

    assert viewset.scope_object in SCOPE_OBJECTS
    assert set(viewset.alternative_scope_objects) <= set(SCOPE_OBJECTS)
    for action, scopes in viewset.action_scopes.items():
        assert set(scopes) <= SCOPES, action
        assert hasattr(viewset, action), f"{action} is no action of {name}"
    for action in (*viewset.action_accepts, *viewset.sensitive_actions):
        assert hasattr(viewset, action), f"{action} is no action of {name}"
    assert "put" not in viewset.http_method_names


def test_routes__each__takes_an_optional_slash():
    """Both spellings lead to one view, and no redirect is in between."""
    for route in ROUTES:
        assert re.search(r"/\?(\$|\\Z)$", route), route


def _example(route: str, project: object, organization: object) -> str:
    path = route.replace("^", "").replace("\\.", ".")
    path = re.sub(r"\(\?P<project_id>[^)]*\)", str(project), path)
    path = re.sub(r"\(\?P<organization_id>[^)]*\)", str(organization), path)
    if path.startswith("api/organizations/(?P<id>"):
        path = re.sub(r"\(\?P<id>[^)]*\)", str(organization), path)
    if path.startswith("api/projects/(?P<id>"):
        path = re.sub(r"\(\?P<id>[^)]*\)", str(project), path)
    path = re.sub(r"\(\?P<\w*uuid>[^)]*\)", UUID, path)
    path = re.sub(r"\(\?P<\w+>[^)]*\)", "1", path)
    return "/" + re.sub(r"/\?(\$|\\Z)$", "/", path)


def _asked(client: Any, route: str, project: Project) -> list[tuple[str, Any]]:
    path = _example(route, project.pk, project.organization_id)
    verbs = ("get", "post", "patch", "put", "delete", "options", "head")
    return [(f"{verb} {path}", getattr(client, verb)(path)) for verb in verbs]


@pytest.mark.parametrize("route", sorted(ROUTES))
def test_route__nobody__is_asked_for_credentials(db: None, project: Project, route: str):
    for asked, answer in _asked(Client(), route, project):
        assert answer.status_code == 401, asked


def _owned(route: str) -> bool:
    return re.search(r"(projects|organizations)/\(\?P<", route) is not None


@pytest.mark.parametrize("route", sorted(filter(_owned, ROUTES)))
def test_route__outsider__gets_nothing_and_changes_nothing(
    project: Project, outsider: User, route: str, session_for: Callable[[User], Any]
):
    by_key = Client(headers={"authorization": f"Bearer {key_for(outsider)}"})
    status = 403 if "organizations/" not in route else 404

    for client in (by_key, session_for(outsider)):
        for asked, answer in _asked(client, route, project):
            closed = {status} if client is by_key and not _session_only(route) else {status, 403}
            assert answer.status_code in closed, asked
            assert project.name not in answer.content.decode(), asked


def _session_only(route: str) -> bool:
    return "personal_api_keys" in route


@pytest.mark.parametrize(
    "name", sorted(name for name, cls in VIEWSETS.items() if issubclass(cls, ProjectViewSet | OrganizationViewSet))
)
def test_viewset__rows__are_those_of_the_project_or_organization(
    name: str, project: Project, organization: Organization, outsider: User
):
    """The rows a view starts from are narrowed to its owner, in SQL, whatever a request asks for."""
    view: Any = VIEWSETS[name]()
    view.project, view.organization, view.kwargs, view.action = project, organization, {"role_id": UUID}, "list"
    owner = project if issubclass(VIEWSETS[name], ProjectViewSet) else organization

    if name == "RoleMembershipViewSet":  # its rows hang on a role, which is looked up in the organization
        with (
            CaptureQueriesContext(
                connection,
            ) as captured,
            pytest.raises(Exception, match=r"Not found\."),
        ):
            view.get_queryset()
        sql = captured.captured_queries[0]["sql"]
    else:
        sql = str(view.get_queryset().query)

    column = "project_id" if owner is project else "organization_id"
    value = str(project.pk) if owner is project else organization.pk.hex
    assert re.search(rf'"{column}" = \'?{value}', sql.replace("-", "")), sql

"""What a client sees of an unforeseen error: that it happened, and nothing of it."""

import pytest
from rest_framework.test import APIClient

from experiments_service import health
from feature_flags.api.flags import FeatureFlagViewSet
from projects.models import Project

SERVER_ERROR = {"type": "server_error", "code": "error", "detail": "A server error occurred.", "attr": None}


def fail(*args: object, **kwargs: object) -> None:
    raise RuntimeError("connection to db.internal:5432 refused")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, api: APIClient) -> APIClient:
    """A client of a service whose list of flags and whose readiness check are broken."""
    monkeypatch.setattr(FeatureFlagViewSet, "list", fail)
    monkeypatch.setattr(health, "is_migrated", fail)
    api.raise_request_exception = False
    return api


@pytest.mark.parametrize("path", ["/_readyz", "/api/projects/@current/feature_flags/"])
def test_unforeseen_error__answer__is_the_envelope_alone(failing: APIClient, project: Project, path: str) -> None:
    response = failing.get(path)
    assert (response.status_code, response.json()) == (500, SERVER_ERROR)


def test_unforeseen_error__html_wanted__shows_nothing_of_it(failing: APIClient, project: Project) -> None:
    response = failing.get("/api/projects/@current/feature_flags/", headers={"Accept": "text/html"})
    assert response.status_code == 500
    assert "db.internal" not in response.text


def test_unforeseen_error__log__says_what_happened(
    failing: APIClient, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    failing.get("/api/projects/@current/feature_flags/")
    assert "db.internal" in caplog.text

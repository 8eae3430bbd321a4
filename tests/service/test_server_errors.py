"""What a client sees of an unforeseen error: that it happened, and nothing of it."""

import pytest
from rest_framework.test import APIClient

from events import ingestion
from experiments_service import health
from feature_flags.api import sdk_credentials
from feature_flags.api.flags import FeatureFlagViewSet
from feature_flags.definitions_cache import DefinitionsCache
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


ADDRESSES_IN_WORDS = ["/flags/?v=2", "/decide/?v=3", "/batch/", "/e/", "/engage/"]


@pytest.mark.parametrize("path", ADDRESSES_IN_WORDS)
def test_unforeseen_error__address_of_client_libraries__is_told_in_words(
    anonymous_api: APIClient, monkeypatch: pytest.MonkeyPatch, project: Project, path: str
) -> None:
    monkeypatch.setattr(DefinitionsCache, "of_token", fail)
    monkeypatch.setattr(ingestion, "store_for_token", fail)
    anonymous_api.raise_request_exception = False
    sent = {"token": project.api_token, "event": "seen", "distinct_id": "ada"}
    response = anonymous_api.post(path, sent, headers={"Origin": "https://shop.example"})
    assert (response.status_code, response.text) == (500, SERVER_ERROR["detail"])
    assert response["Content-Type"].startswith("text/plain")
    assert response["Access-Control-Allow-Origin"] == "https://shop.example"


def test_unforeseen_error__open_feature__has_its_details(
    anonymous_api: APIClient, monkeypatch: pytest.MonkeyPatch, project: Project
) -> None:
    monkeypatch.setattr(DefinitionsCache, "of_token", fail)
    anonymous_api.raise_request_exception = False
    response = anonymous_api.post(
        "/ofrep/v1/evaluate/flags", {}, headers={"Authorization": f"Bearer {project.api_token}"}
    )
    assert (response.status_code, response.json()) == (500, {"errorDetails": SERVER_ERROR["detail"]})


def test_unforeseen_error__definitions__are_the_envelope(
    anonymous_api: APIClient, monkeypatch: pytest.MonkeyPatch, project: Project
) -> None:
    monkeypatch.setattr(sdk_credentials, "find", fail)
    anonymous_api.raise_request_exception = False
    response = anonymous_api.get("/flags/definitions", headers={"Authorization": "Bearer phs_x"})
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

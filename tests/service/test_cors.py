"""Pages of other sites may call the REST API only from configured origins."""

import pytest
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

URL = "/api/projects/@current/feature_flags/"
ORIGIN = "https://dashboard.example.com"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "PATCH"}


@pytest.fixture
def configured(settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]


def cors_headers(headers: dict[str, str]) -> set[str]:
    return {name for name in headers if name.startswith("Access-Control-")}


@pytest.mark.parametrize("verb", ["get", "options"])
def test_rest__nothing_configured__has_no_cors_headers(api: APIClient, verb: str) -> None:
    response = getattr(api, verb)(URL, headers=PREFLIGHT)
    assert cors_headers(dict(response.items())) == set()


def test_rest__configured_origin__may_read_the_answer(api: APIClient, configured: None) -> None:
    response = api.get(URL, headers={"Origin": ORIGIN})
    assert response.status_code == 200
    assert response["Access-Control-Allow-Origin"] == ORIGIN
    assert "Origin" in response["Vary"]


def test_rest__configured_origin__may_read_a_refusal(anonymous_api: APIClient, configured: None) -> None:
    response = anonymous_api.get(URL, headers={"Origin": ORIGIN})
    assert (response.status_code, response["Access-Control-Allow-Origin"]) == (401, ORIGIN)


def test_preflight__configured_origin__is_answered_without_a_key(anonymous_api: APIClient, configured: None) -> None:
    response = anonymous_api.options(URL, headers=PREFLIGHT)
    assert (response.status_code, response.content) == (204, b"")
    assert "PATCH" in response["Access-Control-Allow-Methods"]
    assert "Authorization" in response["Access-Control-Allow-Headers"]


def test_rest__configured_origin__gets_no_cookies(api: APIClient, configured: None) -> None:
    assert "Access-Control-Allow-Credentials" not in api.get(URL, headers={"Origin": ORIGIN})


@pytest.mark.parametrize(
    "origin",
    ["https://dashboard.example.com.evil.net", "http://dashboard.example.com", "https://example.com", "null", ""],
)
def test_rest__other_origin__has_no_cors_headers(api: APIClient, configured: None, origin: str) -> None:
    response = api.get(URL, headers={"Origin": origin})
    assert cors_headers(dict(response.items())) == set()
    assert "Origin" in response["Vary"]

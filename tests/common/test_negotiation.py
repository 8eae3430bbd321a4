"""Which answers come in which form, at which spelling of an address, for which verb."""

from typing import Any

import pytest
from django.test import Client

from projects.models import Project, User
from tests.cast import error, key_for

JSON = "application/json"
HTML = "text/html; charset=utf-8"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
VERBS = ("get", "post", "patch", "put", "delete", "options", "head")
NO_ENDPOINT = error("not_found", "Endpoint not found.", type="invalid_request")


@pytest.fixture
def client(member: User, project: Project) -> Client:
    return Client(headers={"authorization": f"Bearer {key_for(member)}"})


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("application/*", JSON),
        ("application/json, text/plain, */*", JSON),
        ("text/html", HTML),
        ("text/*", HTML),
        (BROWSER, HTML),
        ("application/json; indent=4", JSON),
    ],
)
def test_accept__html_only_where_it_is_asked_for(client: Client, accept: str | None, content_type: str):
    headers = {} if accept is None else {"accept": accept}

    answer = client.get("/api/users/@me/", headers=headers)

    assert (answer.status_code, answer["Content-Type"]) == (200, content_type)
    assert "Accept" in answer["Vary"]


@pytest.mark.parametrize("accept", ["application/xml", "image/png", "text/csv", "nonsense"])
def test_accept__what_there_is_not__is_406_even_for_nobody(client: Client, accept: str):
    for asking in (client, Client()):
        answer = asking.get("/api/users/@me/", headers={"accept": accept})
        assert (answer.status_code, answer.json()) == (
            406,
            error("not_acceptable", "Could not satisfy the request Accept header.", type="invalid_request"),
        )


def test_format_parameter__is_no_way_to_choose(client: Client):
    assert client.get("/api/users/@me/?format=api")["Content-Type"] == JSON
    assert client.get("/api/users/@me/?format=xml").status_code == 200


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("path", ["/api/", "/api", "/api/nothing", "/api/nothing/at/all/", "/api/projects/1/nothing/"])
def test_unknown_path__any_verb_and_nobody__is_no_endpoint(db: None, verb: str, path: str):
    answer = getattr(Client(enforce_csrf_checks=True), verb)(path)

    assert answer.status_code == 404
    assert answer["Content-Type"] == JSON
    if verb != "head":
        assert answer.json() == NO_ENDPOINT


@pytest.mark.parametrize("accept", ["text/html", "application/xml"])
def test_unknown_path__whatever_is_accepted__is_no_endpoint(db: None, accept: str):
    answer = Client().get("/api/nothing/", headers={"accept": accept, "authorization": "Bearer phx_wrong"})

    assert (answer.status_code, answer.json()) == (404, NO_ENDPOINT)


PATHS = (
    "/api/projects/@current/experiments",
    "/api/projects/@current/feature_flags",
    "/api/projects/@current/activity_log",
    "/api/projects/@current/project_secret_api_keys",
    "/api/projects/@current",
    "/api/projects",
    "/api/organizations",
    "/api/organizations/@current",
    "/api/organizations/@current/members",
    "/api/organizations/@current/roles",
    "/api/organizations/@current/projects",
    "/api/users/@me",
    "/api/personal_api_keys/@current",
)


@pytest.mark.parametrize("path", PATHS)
def test_trailing_slash__is_optional_for_every_verb_and_never_redirects(client: Client, path: str):
    for verb in VERBS:
        bare, slashed = getattr(client, verb)(path), getattr(client, verb)(f"{path}/")
        assert bare.status_code == slashed.status_code
        assert bare.status_code not in {301, 302, 307, 308, 500}
        assert verb != "get" or (bare.status_code == 200 and bare.json().keys() == slashed.json().keys())


@pytest.mark.parametrize("path", PATHS)
def test_two_slashes__are_no_endpoint(client: Client, path: str):
    assert client.get(f"{path}//").json() == NO_ENDPOINT


def test_put__everywhere__is_not_allowed(client: Client):
    answer = client.put("/api/projects/@current/feature_flags/1/")

    assert (answer.status_code, answer.json()) == (
        405,
        error("method_not_allowed", 'Method "PUT" not allowed.', type="invalid_request"),
    )
    assert {verb.strip() for verb in answer["Allow"].split(",")} == {"GET", "PATCH", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("verb", ["TRACE", "CONNECT", "PROPFIND", "NONSENSE"])
def test_unknown_verb__is_not_allowed(client: Client, verb: str):
    answer = client.generic(verb, "/api/users/@me/")

    assert (answer.status_code, answer.json()["detail"]) == (405, f'Method "{verb}" not allowed.')


def test_options__tells_what_an_address_takes(client: Client):
    answer = client.options("/api/projects/@current/feature_flags/")

    assert answer.status_code == 200
    assert answer.json() == {
        "name": "Feature Flag List",
        "allow": ["GET", "POST", "HEAD", "OPTIONS"],
        "renders": ["application/json", "text/html"],
        "parses": ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"],
    }


def test_head__answers_as_get_without_a_body(client: Client):
    answer = client.head("/api/users/@me/")

    assert (answer.status_code, answer.content) == (200, b"")


def test_cors__no_origin_configured__sends_no_header(client: Client):
    answer = client.get("/api/users/@me/", headers={"origin": "https://elsewhere.example"})

    assert [name for name in answer.headers if name.lower().startswith("access-control")] == []


def test_error__inside_a_view__shows_no_exception_text(client: Client, monkeypatch: pytest.MonkeyPatch):
    from projects.api import representation

    def fail(*args: Any) -> None:
        raise RuntimeError("the secret of the trade")

    monkeypatch.setattr(representation, "user", fail)
    client.raise_request_exception = False

    answer = client.get("/api/users/@me/")

    assert (answer.status_code, answer.json()) == (
        500,
        error("error", "A server error occurred.", type="server_error"),
    )

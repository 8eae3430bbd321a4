"""Where credentials are looked for, which one counts, and what bad ones are told."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from projects import secret_keys, services, tokens
from projects.models import Organization, PersonalAPIKey, Project, ProjectSecretAPIKey, User
from tests.cast import PASSWORD, ClientFor, error, key_for

ME = "/api/users/@me/"
EXPERIMENTS = "/api/projects/@current/experiments/"
FLAGS = "/api/projects/@current/feature_flags/"
JSON = "application/json"


def refused(code: str, detail: str) -> dict[str, str | None]:
    return error(code, detail, type="authentication_error")


def bad(kind: str, place: str) -> dict[str, str | None]:
    return refused("authentication_failed", f"{kind} found in request {place} is invalid.")


@pytest.fixture
def value(member: User, project: Project) -> str:
    return key_for(member)


@pytest.fixture
def secret(project: Project) -> str:
    _, made = secret_keys.create_secret_key(project=project, user=None, label="CI", scopes=["experiment:read"])
    return made


def test_nothing__is_not_authenticated(db: None):
    answer = Client().get(ME)

    assert (answer.status_code, answer.json()) == (
        401,
        refused("not_authenticated", "Authentication credentials were not provided."),
    )
    assert answer["WWW-Authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize("header", ["Bearer {}", "Bearer   {}  "])
def test_header__bearer__authenticates_blanks_aside(value: str, header: str):
    assert Client().get(ME, headers={"authorization": header.format(value)}).status_code == 200


@pytest.mark.parametrize("header", ["bearer {}", "BEARER {}", "Token {}", "Basic {}", "{}", "Bearer", "Bearer "])
def test_header__anything_else__is_ignored(value: str, header: str):
    answer = Client().get(ME, headers={"authorization": header.format(value)})

    assert answer.json()["code"] == "not_authenticated"


def test_header__ignored_scheme__leaves_the_query_to_authenticate(value: str):
    answer = Client().get(ME, {"personal_api_key": value}, headers={"authorization": "Basic abc"})

    assert answer.status_code == 200


def test_query__personal_key__authenticates(value: str):
    assert Client().get(f"{ME}?personal_api_key={value}").status_code == 200


def test_query__secret_key_name__is_not_looked_at(secret: str):
    assert Client().get(f"{EXPERIMENTS}?secret_api_key={secret}").json()["code"] == "not_authenticated"


@pytest.mark.parametrize("content_type", [JSON, "application/x-www-form-urlencoded", "multipart"])
def test_body__personal_key__authenticates_in_every_form(value: str, content_type: str):
    sent = {"personal_api_key": value, "key": "a-flag"}
    client = Client()
    if content_type == JSON:
        answer = client.post(FLAGS, json.dumps(sent), content_type=JSON)
    elif content_type == "multipart":
        answer = client.post(FLAGS, sent)
    else:
        answer = client.post(FLAGS, f"personal_api_key={value}&key=a-flag", content_type=content_type)

    assert answer.status_code == 201


def test_body__of_a_get__is_not_looked_at(value: str):
    answer = Client().generic("GET", ME, json.dumps({"personal_api_key": value}), content_type=JSON)

    assert answer.json()["code"] == "not_authenticated"


@pytest.mark.parametrize("body", ["{", "[]", '"x"', '{"personal_api_key": 7}', '{"personal_api_key": ""}', "\xff"])
def test_body__without_readable_key__holds_none(db: None, body: str):
    answer = Client().post(FLAGS, body, content_type=JSON)

    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


def test_body__unreadable__is_refused_only_after_the_checks_before_it(value: str, project: Project):
    client = Client(headers={"authorization": f"Bearer {value}"})

    assert client.post(FLAGS, "{", content_type=JSON).json()["code"] == "parse_error"
    assert client.post("/api/projects/999999/feature_flags/", "{", content_type=JSON).status_code == 404


BAD_KEYS = [
    ("phx_wrong", "Personal API key"),
    ("anything", "Personal API key"),
    ("phc_wrong", "Personal API key"),
    ("phs_wrong", "Project secret API key"),
]


@pytest.mark.parametrize(("sent", "kind"), BAD_KEYS)
def test_bad_key__each_place__names_kind_and_place(db: None, sent: str, kind: str):
    client = Client()
    answers = {
        "Authorization header": client.get(EXPERIMENTS, headers={"authorization": f"Bearer {sent}"}),
        "query string": client.get(EXPERIMENTS, {"personal_api_key": sent}),
        "body": client.post(EXPERIMENTS, json.dumps({"personal_api_key": sent}), content_type=JSON),
    }

    for place, answer in answers.items():
        assert (answer.status_code, answer.json()) == (401, bad(kind, place))
        assert answer["WWW-Authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize("sent", ["x" * 10_000, "phx_" + "é" * 40, "phx_\u2028"])
def test_bad_key__odd_characters__is_only_invalid(db: None, sent: str):
    answer = Client().post(FLAGS, json.dumps({"personal_api_key": sent}), content_type=JSON)

    assert (answer.status_code, answer.json()["code"]) == (401, "authentication_failed")


def test_first_credential__bad_header__is_refused_beside_valid_others(
    value: str, member: User, session_for: Callable[[User], Any]
):
    client = session_for(member)

    answer = client.get(ME, {"personal_api_key": value}, headers={"authorization": "Bearer phx_wrong"})

    assert answer.json() == bad("Personal API key", "Authorization header")
    assert client.get(ME, {"personal_api_key": "phx_wrong"}).json() == bad("Personal API key", "query string")
    assert client.get(ME).status_code == 200


def test_first_credential__body_before_query(value: str):
    url = f"{FLAGS}?personal_api_key={value}"

    answer = Client().post(url, json.dumps({"personal_api_key": "phx_wrong", "key": "x"}), content_type=JSON)

    assert answer.json() == bad("Personal API key", "body")


def test_key_of_inactive_user__is_invalid(value: str, member: User):
    User.objects.filter(pk=member.pk).update(is_active=False)

    answer = Client().get(ME, headers={"authorization": f"Bearer {value}"})

    assert answer.json() == bad("Personal API key", "Authorization header")


def test_session_of_inactive_user__is_no_credential(member: User, session_for: Callable[[User], Any]):
    client = session_for(member)
    User.objects.filter(pk=member.pk).update(is_active=False)

    assert client.get(ME).json()["code"] == "not_authenticated"


# --- Sessions and CSRF -------------------------------------------------------------------------------------------


@pytest.fixture
def browser(member: User, project: Project) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(member)
    return client


def csrf_token(browser: Client) -> str:
    page = browser.get(ME, headers={"accept": "text/html"}).content.decode()
    found = re.search(r'"csrfToken": "([^"]+)"', page)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        (None, "CSRF Failed: CSRF token missing."),
        ("x" * 64, "CSRF Failed: CSRF token from the 'X-Csrftoken' HTTP header incorrect."),
        ("short", "CSRF Failed: CSRF token from the 'X-Csrftoken' HTTP header has incorrect length."),
    ],
)
def test_session__write_without_good_token__is_refused(browser: Client, header: str | None, detail: str):
    csrf_token(browser)
    headers = {} if header is None else {"x-csrftoken": header}

    answer = browser.patch(ME, '{"first_name": "M"}', content_type=JSON, headers=headers)

    assert (answer.status_code, answer.json()) == (403, refused("permission_denied", detail))


def test_session__write_with_token__succeeds_and_reads_need_none(browser: Client):
    assert browser.get(ME).status_code == 200
    token = csrf_token(browser)

    for sent in (token, browser.cookies["posthog_csrftoken"].value):
        answer = browser.patch(ME, '{"first_name": "M"}', content_type=JSON, headers={"x-csrftoken": sent})
        assert answer.status_code == 200


def test_session__csrf_refusal__comes_before_everything_that_follows(browser: Client):
    answer = browser.post("/api/projects/999999/feature_flags/", "{", content_type=JSON)

    assert answer.json()["detail"].startswith("CSRF Failed: ")


def test_key__write_beside_a_session__needs_no_token(browser: Client, value: str):
    answer = browser.patch(ME, '{"first_name": "M"}', content_type=JSON, headers={"authorization": f"Bearer {value}"})

    assert answer.status_code == 200


def test_session__has_no_scopes_and_enters_by_membership(
    member: User, project: Project, outsider: User, session_for: Callable[[User], Any]
):
    assert session_for(member).post(FLAGS, {"key": "a-flag"}).status_code == 201
    answer = session_for(outsider).get(f"/api/projects/{project.pk}/feature_flags/")
    assert answer.json() == refused("permission_denied", "You don't have access to the project.")


# --- Project secret keys and tokens ------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["header", "body"])
def test_secret_key__opens_experiments_for_reading(project: Project, secret: str, place: str):
    if place == "header":
        answer = Client().get(EXPERIMENTS, headers={"authorization": f"Bearer {secret}"})
        assert (answer.status_code, answer.json()["results"]) == (200, [])
    else:
        answer = Client().post(EXPERIMENTS, json.dumps({"secret_api_key": secret}), content_type=JSON)
        assert answer.json()["detail"] == "This action does not support project secret API key access"


NO_SECRET_KEYS = [
    ("POST", EXPERIMENTS),
    ("GET", FLAGS),
    ("POST", FLAGS),
    ("GET", "/api/projects/"),
    ("GET", "/api/projects/@current/"),
    ("GET", "/api/projects/@current/activity_log/"),
    ("GET", ME),
    ("GET", "/api/organizations/"),
    ("GET", "/api/personal_api_keys/"),
    ("PUT", EXPERIMENTS),
]


@pytest.mark.parametrize(("method", "path"), NO_SECRET_KEYS)
def test_secret_key__everything_else__is_closed(secret: str, method: str, path: str):
    answer = Client().generic(method, path, headers={"authorization": f"Bearer {secret}"})

    assert (answer.status_code, answer.json()) == (
        403,
        refused("permission_denied", "This action does not support project secret API key access"),
    )


def test_secret_key__without_the_scope__is_told_which(project: Project):
    _, value = secret_keys.create_secret_key(project=project, user=None, label="F", scopes=["feature_flag:read"])

    answer = Client().get(EXPERIMENTS, headers={"authorization": f"Bearer {value}"})

    assert answer.json()["detail"] == "API key missing required scope 'experiment:read'"


def test_secret_key__another_project__is_closed(secret: str, outsider: User):
    answer = Client().get(
        f"/api/projects/{outsider.current_project_id}/experiments/", headers={"authorization": f"Bearer {secret}"}
    )

    assert answer.json() == refused("permission_denied", "You don't have access to the project.")


def test_secret_token__rest__is_closed_even_for_experiments(organization: Organization, owner: User):
    project, first = services.create_project(organization=organization, name="Shop")
    _, second = tokens.rotate_secret_token(project=project, user=owner)

    for value in (first, second):
        answer = Client().get(EXPERIMENTS, headers={"authorization": f"Bearer {value}"})
        assert answer.json()["detail"] == "This action does not support project secret API key access"
    tokens.delete_secret_token_backup(project=project, user=owner)
    answer = Client().get(EXPERIMENTS, headers={"authorization": f"Bearer {first}"})
    assert answer.json() == bad("Project secret API key", "Authorization header")


# --- @current ----------------------------------------------------------------------------------------------------


def test_current__token_in_the_query__picks_the_project_but_never_authenticates(
    member: User, project: Project, client_for: ClientFor
):
    second, _ = services.create_project(organization=project.organization, name="Second")

    assert client_for(member).get("/api/projects/@current/", {"token": second.api_token}).json()["name"] == "Second"
    assert client_for(member).get("/api/projects/@current/").json()["name"] == "Shop"
    assert Client().get("/api/projects/@current/", {"token": second.api_token}).status_code == 401


def test_current__token_of_a_foreign_project__is_closed(api: Any, outsider: User):
    token = Project.objects.get(name="Foreign").api_token

    assert api.get("/api/projects/@current/", {"token": token}).json()["detail"] == (
        "You don't have access to the project."
    )


@pytest.mark.parametrize("token", ["phc_unknown", "%00", "x" * 5000])
def test_current__unknown_token__is_invalid(api: Any, token: str):
    answer = api.get(f"/api/projects/@current/?token={token}")

    assert (answer.status_code, answer.json()) == (
        401,
        refused("authentication_failed", "Project token found in request query string is invalid."),
    )


def test_current__token_on_a_numbered_project__is_not_looked_at(api: Any, project: Project):
    assert api.get(f"/api/projects/{project.pk}/?token=phc_unknown").status_code == 200


def test_current__secret_key__is_its_own_project(secret: str, outsider: User, project: Project):
    answer = Client().get(EXPERIMENTS, headers={"authorization": f"Bearer {secret}"})

    assert answer.status_code == 200


def test_current__user_without_project__is_not_found(db: None):
    value = key_for(User.objects.create_user("alone@example.com", PASSWORD))

    answer = Client().get("/api/projects/@current/", headers={"authorization": f"Bearer {value}"})

    assert (answer.status_code, answer.json()["detail"]) == (404, "Project not found.")


# --- Last use ----------------------------------------------------------------------------------------------------


def test_last_used__is_noted_at_most_hourly(value: str, secret: str):
    def use() -> tuple[Any, Any]:
        Client().get(ME, headers={"authorization": f"Bearer {value}"})
        Client().get(EXPERIMENTS, headers={"authorization": f"Bearer {secret}"})
        return PersonalAPIKey.objects.get().last_used_at, ProjectSecretAPIKey.objects.get().last_used_at

    first = use()
    assert None not in first
    assert use() == first
    an_hour_ago = timezone.now() - timedelta(minutes=61)
    PersonalAPIKey.objects.update(last_used_at=an_hour_ago)
    ProjectSecretAPIKey.objects.update(last_used_at=an_hour_ago)
    assert all(later > earlier for later, earlier in zip(use(), first, strict=True))

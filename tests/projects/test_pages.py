"""Landing, sign-in and sign-out, as a browser meets them: with cookies and CSRF checks."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client

from feature_flags.services import create_flag
from projects.models import Project, RequestCount, User
from tests.cast import PASSWORD, error

HTML = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def browser(project: Project, member: User) -> Client:
    member.set_password(PASSWORD)
    member.save()
    return Client(enforce_csrf_checks=True, headers=HTML)


def form_token(page: Any) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.content.decode())
    assert found is not None
    return found[1]


def sign_in(
    browser: Client,
    email: str = "member@example.com",
    password: str = PASSWORD,
    next_page: str = "",
    path: str = "/login/",
) -> Any:
    token = form_token(browser.get(path))
    return browser.post(
        path, {"username": email, "password": password, "csrfmiddlewaretoken": token, "next": next_page}
    )


def test_landing__nobody__offers_to_sign_in_and_shows_no_project(browser: Client, project: Project):
    page = browser.get("/").content.decode()

    assert "Not signed in" in page
    assert 'href="/login"' in page
    assert project.name not in page
    assert 'href="/api/schema/swagger-ui"' in page
    assert 'href="/api/schema/redoc"' in page
    assert "/admin/" not in page


def test_landing__member__leads_to_the_current_project(browser: Client, project: Project):
    sign_in(browser)

    page = browser.get("/").content.decode()

    assert "Signed in as <strong>member@example.com</strong>" in page
    for path in re.findall(r'href="(/api/projects/[^"]+)"', page):
        assert browser.get(path).status_code == 200
    assert f'href="/api/projects/{project.pk}/experiments"' in page
    assert f'href="/api/projects/{project.pk}/feature_flags"' in page
    assert "/admin/" not in page


def test_landing__staff__leads_to_the_admin_site(browser: Client, member: User):
    member.is_staff = True
    member.save()
    sign_in(browser)

    assert 'href="/admin/"' in browser.get("/").content.decode()


def test_landing__user_without_project__says_so(db: None):
    User.objects.create_user("alone@example.com", PASSWORD)
    browser = Client(enforce_csrf_checks=True, headers=HTML)
    sign_in(browser, "alone@example.com")

    assert "You do not belong to a project yet." in browser.get("/").content.decode()


def test_landing__names__are_escaped(browser: Client, project: Project):
    project.name = "<script>alert(1)</script>"
    project.save()
    sign_in(browser)

    page = browser.get("/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_landing__page__loads_nothing_from_elsewhere(browser: Client):
    for path in ("/", "/login/"):
        page = browser.get(path).content.decode()
        assert re.findall(r'(?:src|href)="((?:https?:)?//[^"]+)"', page) == []
        assert "<script" not in page


@pytest.mark.parametrize("accept", ["application/json", "*/*", None])
def test_landing__other_clients__get_addresses_as_json(db: None, accept: str | None):
    answer = Client().get("/", headers={} if accept is None else {"accept": accept})

    assert answer["Content-Type"] == "application/json"
    assert answer.json() == {
        "projects": "http://testserver/api/projects",
        "schema": "http://testserver/api/schema",
        "swagger_ui": "http://testserver/api/schema/swagger-ui",
        "redoc": "http://testserver/api/schema/redoc",
        "admin": "http://testserver/admin/",
        "login": "http://testserver/login",
    }
    assert "Accept" in answer["Vary"]


def test_landing__writes__are_refused(db: None):
    assert Client().post("/").status_code == 405


@pytest.mark.parametrize("email", ["member@example.com", "MEMBER@Example.com"])
def test_login__right_password__starts_a_session_of_14_days(browser: Client, member: User, email: str):
    answer = sign_in(browser, email)

    assert (answer.status_code, answer["Location"]) == (302, "/")
    cookie = browser.cookies["sessionid"]
    assert (cookie["max-age"], cookie["httponly"], cookie["samesite"]) == (14 * 24 * 3600, True, "Lax")
    assert browser.get("/api/users/@me/", headers={"accept": "application/json"}).json()["id"] == member.pk


@pytest.mark.parametrize(("email", "password"), [("member@example.com", "wrong"), ("nobody@example.com", PASSWORD)])
def test_login__wrong_password_or_user__are_refused_alike(browser: Client, email: str, password: str):
    answer = sign_in(browser, email, password)

    assert answer.status_code == 200
    assert "This e-mail address and password do not belong together." in answer.content.decode()
    assert "sessionid" not in browser.cookies


@pytest.mark.parametrize("path", ["/login/", "/admin/login/"])
def test_login__eleventh_attempt_in_a_minute__waits_even_with_the_right_password(browser: Client, path: str):
    for _ in range(10):
        assert sign_in(browser, password="wrong", path=path).status_code == 200

    answer = sign_in(browser, " Member@Example.com", path=path)

    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert f"Too many attempts. Try again in {answer['Retry-After']} seconds." in answer.content.decode()
    assert "sessionid" not in browser.cookies


def test_login__attempts_on_one_address__do_not_keep_others_waiting(browser: Client):
    for _ in range(11):
        sign_in(browser, "nobody@example.com", "wrong")

    assert sign_in(browser).status_code == 302


def test_login__right_password__is_never_held_back_by_right_ones(browser: Client):
    assert {sign_in(browser).status_code for _ in range(12)} == {302}


def test_login__a_minute_later__is_open_again(browser: Client):
    for _ in range(11):
        sign_in(browser, password="wrong")
    RequestCount.objects.update(minute_started=F("minute_started") - timedelta(seconds=61))

    assert sign_in(browser).status_code == 302


def test_admin_login__staff__comes_back_to_the_admin_site(browser: Client, member: User):
    member.is_staff = member.is_superuser = True
    member.save()

    answer = sign_in(browser, next_page="/admin/", path="/admin/login/")

    assert (answer.status_code, answer["Location"]) == (302, "/admin/")
    assert browser.get("/admin/").status_code == 200


def test_login__inactive_user__is_refused(browser: Client, member: User):
    member.is_active = False
    member.save()

    sign_in(browser)

    assert "sessionid" not in browser.cookies


def test_login__without_csrf_token__is_refused(browser: Client):
    assert browser.post("/login/", {"username": "member@example.com", "password": PASSWORD}).status_code == 403


@pytest.mark.parametrize(
    ("wanted", "reached"), [("/api/projects/@current/", "/api/projects/@current/"), ("https://evil.example/", "/")]
)
def test_login__next__leads_back_but_not_away(browser: Client, wanted: str, reached: str):
    assert sign_in(browser, next_page=wanted)["Location"] == reached


def test_logout__get__asks_and_post_ends_the_session(browser: Client):
    sign_in(browser)
    asked = browser.get("/logout/")
    assert asked.status_code == 200
    assert "Signed in as" in browser.get("/").content.decode()

    answer = browser.post("/logout/", {"csrfmiddlewaretoken": form_token(asked)})

    assert (answer.status_code, answer["Location"]) == (302, "/login/")
    assert browser.get("/api/users/@me/", headers={"accept": "application/json"}).status_code == 401
    assert browser.get("/logout")["Location"] == "/login"


PAGES = (
    "/api/projects/@current/experiments/",
    "/api/projects/@current/feature_flags/",
    "/api/projects/@current/activity_log/",
    "/api/projects/",
    "/api/projects/@current/",
    "/api/users/@me/",
    "/api/organizations/@current/",
    "/api/organizations/@current/roles/",
    "/api/personal_api_keys/",
)


@pytest.mark.parametrize("path", PAGES)
def test_browsable_api__signed_in__renders_with_csrf_cookie_and_sign_out(browser: Client, path: str):
    sign_in(browser)

    page = browser.get(path)

    assert (page.status_code, page["Content-Type"]) == (200, "text/html; charset=utf-8")
    html = page.content.decode()
    assert 'href="/logout"' in html
    assert "X-CSRFTOKEN" in html
    assert "posthog_csrftoken" in browser.cookies
    assert re.findall(r'(?:src|href)="((?:https?:)?//(?!testserver)[^"]+)"', html) == []


def test_browsable_api__forms__start_empty(browser: Client, project: Project, member: User):
    sign_in(browser)
    flag = create_flag(project=project, user=member, key="a-flag")

    html = browser.get(f"/api/projects/@current/feature_flags/{flag.pk}/").content.decode()

    areas = re.findall(r"<textarea[^>]*>(.*?)</textarea>", html, re.DOTALL)
    assert [area.strip() for area in areas] == [""]
    assert "a-flag" in html


def test_browsable_api__raw_form__writes_with_the_csrf_header_only(browser: Client, project: Project):
    sign_in(browser)
    page = browser.get("/api/projects/@current/feature_flags/")
    token = re.search(r'"csrfToken": "([^"]+)"', page.content.decode())
    assert token is not None

    def send(**headers: str) -> Any:
        return browser.post(
            "/api/projects/@current/feature_flags/",
            '{"key": "from-a-form"}',
            content_type="application/json",
            headers={"accept": "application/json", **headers},
        )

    refused = send()
    assert (refused.status_code, refused.json()) == (
        403,
        error("permission_denied", "CSRF Failed: CSRF token missing.", type="authentication_error"),
    )
    assert send(**{"x-csrftoken": token[1]}).status_code == 201
    assert send(**{"x-csrftoken": browser.cookies["posthog_csrftoken"].value}).json()["attr"] == "key"


def test_browsable_api__nobody__is_told_to_sign_in_and_back(db: None):
    page = Client(headers=HTML).get("/api/projects/@current/experiments/?limit=5")

    assert page.status_code == 401
    assert 'href="/login?next=/api/projects/%40current/experiments/%3Flimit%3D5"' in page.content.decode()


@pytest.mark.parametrize("path", ["/api/nope/", "/api/projects/999999/feature_flags/", "/api/organizations/x/roles/"])
def test_browsable_api__missing__answers_and_never_fails(browser: Client, path: str):
    sign_in(browser)

    assert browser.get(path).status_code == 404

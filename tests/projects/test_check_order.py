"""The checks between a request and its act come in their documented order: of two that fail, the earlier answers.

`CHECKS` holds each check as something that goes wrong with a request that is otherwise fine, in the documented order.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from django.conf import settings as service_settings
from django.db import connection
from django.test import Client

from experiments.models import Experiment
from feature_flags.models import FeatureFlag
from feature_flags.services import create_flag, update_flag
from projects import secret_keys
from projects.models import PersonalAPIKey, Project, User
from tests.cast import key_for


@dataclass
class Ask:
    """A request in the making: a change by the owner that would succeed."""

    project: Project
    user: User
    objects: dict[str, object]
    resource: str = "experiments"
    credential: str = "personal"
    scopes: list[str] = field(default_factory=lambda: ["*"])
    restrictions: dict[str, Any] = field(default_factory=dict)
    broken: bool = False
    throttled: bool = False
    session_seconds: int = 0
    project_id: object = None
    object_id: object = None
    method: str = "PATCH"
    accept: str = "application/json"
    if_match: str | None = None
    content_type: str = "application/json"
    body: bytes | None = None

    def send(self) -> Any:
        client = Client()
        headers = {"accept": self.accept}
        if self.if_match is not None:
            headers["if-match"] = self.if_match
        if self.credential == "session":
            client.force_login(self.user)
            session = client.session
            session["signed_in_at"] -= self.session_seconds
            session.save()
        else:
            headers["authorization"] = f"Bearer {self._key()}"
        body = self.body
        if body is None:
            body = b'{"label": "Renamed"}' if self.resource == "project_secret_api_keys" else b'{"name": "Renamed"}'
        project_id = self.project.pk if self.project_id is None else self.project_id
        object_id = self.objects.get(self.resource, 1) if self.object_id is None else self.object_id
        return client.generic(
            self.method,
            f"/api/projects/{project_id}/{self.resource}/{object_id}/",
            body,
            content_type=self.content_type,
            headers=headers,
        )

    def _key(self) -> str:
        if self.credential == "secret":
            scopes = ["feature_flag:read"]
            _, value = secret_keys.create_secret_key(project=self.project, user=None, label="CI", scopes=scopes)
        else:
            value = key_for(self.user, self.scopes, **self.restrictions)
            if self.throttled:
                exhaust(PersonalAPIKey.objects.get(user=self.user).pk)
        return f"{value[:4]}{'x' * 43}" if self.broken else value


def exhaust(key_id: str) -> None:
    """Let the key have spent its minute."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO projects_requestcount VALUES (%s, clock_timestamp(), 480, clock_timestamp(), 480)",
            [f"rest:{key_id}"],
        )


def route(ask: Ask) -> None:
    ask.resource = "nothing"


def accept(ask: Ask) -> None:
    ask.accept = "application/xml"


def bad_credential(ask: Ask) -> None:
    ask.broken = True


def kind(ask: Ask) -> None:
    ask.credential = "secret"


def scope(ask: Ask) -> None:
    ask.scopes = ["cohort:read"]


def no_project(ask: Ask) -> None:
    ask.project_id = 999_999


def restriction(ask: Ask) -> None:
    own = Project.objects.filter(organization__memberships__user=ask.user).exclude(pk=ask.project.pk)
    ask.restrictions = {"scoped_teams": [own.order_by("pk").values_list("pk", flat=True)[0]]}


def membership(ask: Ask) -> None:
    ask.user = User.objects.get(email="outsider@example.net")


def level(ask: Ask) -> None:
    ask.resource = "project_secret_api_keys"
    ask.user = User.objects.get(email="member@example.com")


def stale_session(ask: Ask) -> None:
    ask.resource = "project_secret_api_keys"
    ask.credential = "session"
    ask.session_seconds = 2 * 3600 + 5


def throttle(ask: Ask) -> None:
    ask.throttled = True


def verb(ask: Ask) -> None:
    ask.method = "PUT"


def no_object(ask: Ask) -> None:
    ask.object_id = 999_999


def if_match(ask: Ask) -> None:
    ask.if_match = '"another"'


def media_type(ask: Ask) -> None:
    ask.content_type = "application/xml"


def size(ask: Ask) -> None:
    ask.body = b"{" + b" " * service_settings.MAX_REQUEST_BYTES


def syntax(ask: Ask) -> None:
    ask.body = b"{"


def bad_field(ask: Ask) -> None:
    ask.resource = "feature_flags"
    ask.body = b'{"name": "mine", "version": 1, "active": "maybe"}'


def conflict(ask: Ask) -> None:
    ask.resource = "feature_flags"
    if ask.body is None:
        ask.body = b'{"name": "mine", "version": 1, "original_flag": {"name": ""}}'


Wrong = Callable[[Ask], None]
CHECKS: list[tuple[Wrong, int, str]] = [
    (route, 404, "Endpoint not found."),
    (accept, 406, "Could not satisfy the request Accept header."),
    (bad_credential, 401, "API key found in request Authorization header is invalid."),
    (kind, 403, "This action does not support project secret API key access"),
    (scope, 403, "API key missing required scope '"),
    (no_project, 404, "Project not found."),
    (restriction, 403, "API key does not have access to the requested project: ID "),
    (membership, 403, "You don't have access to the project."),
    (level, 403, "Your organization access level is insufficient."),
    (stale_session, 403, "This action requires you to be recently authenticated."),
    (throttle, 429, "Request was throttled. Expected available in "),
    (verb, 405, 'Method "PUT" not allowed.'),
    (no_object, 404, "Not found."),
    (if_match, 412, "The experiment was changed since you read it. Fetch it again and retry."),
    (media_type, 415, 'Unsupported media type "application/xml" in request.'),
    (size, 413, "Request body exceeds the limit of 20971520 bytes."),
    (syntax, 400, "JSON parse error - "),
    (bad_field, 400, "Must be a valid boolean."),
    (conflict, 409, ""),
]
# Sessions are not throttled; a body too large to read has no syntax, and an unreadable one no fields.
IMPOSSIBLE = {(stale_session, throttle), (size, syntax), (syntax, bad_field)}
ADJACENT = [pair for pair in pairwise(CHECKS) if (pair[0][0], pair[1][0]) not in IMPOSSIBLE]
# Pairs around those gaps.
FURTHER = [(CHECKS[8], CHECKS[10]), (CHECKS[9], CHECKS[12]), (CHECKS[13], CHECKS[16]), (CHECKS[12], CHECKS[15])]


@pytest.fixture
def ask(project: Project, owner: User, member: User, outsider: User, organization: Any, settings: Any) -> Ask:
    settings.THROTTLING_ENABLED = True
    Project.objects.create(organization=organization, name="Other")
    flag = create_flag(project=project, user=owner, key="used")
    free = create_flag(project=project, user=owner, key="free")
    update_flag(flag=FeatureFlag.objects.get(pk=free.pk), user=owner, changes={"name": "changed since"})
    experiment = Experiment.objects.create(project=project, feature_flag=flag, name="Blue button")
    key, _ = secret_keys.create_secret_key(project=project, user=owner, label="Old", scopes=["experiment:read"])
    objects = {"experiments": experiment.pk, "feature_flags": free.pk, "project_secret_api_keys": key.pk}
    return Ask(project=project, user=owner, objects=objects)


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["detail"]


@pytest.mark.parametrize("resource", ["experiments", "feature_flags", "project_secret_api_keys"])
def test_request__nothing_wrong__succeeds(ask: Ask, resource: str):
    ask.resource = resource

    assert ask.send().status_code == 200


@pytest.mark.parametrize(("wrong", "status", "detail"), CHECKS, ids=[check[0].__name__ for check in CHECKS])
def test_check__alone__refuses(ask: Ask, wrong: Wrong, status: int, detail: str):
    wrong(ask)

    found_status, found_detail = refusal(ask.send())
    assert (found_status, detail in found_detail) == (status, True), found_detail


@pytest.mark.parametrize(
    ("earlier", "later"),
    ADJACENT + FURTHER,
    ids=[f"{one[0].__name__}-{two[0].__name__}" for one, two in ADJACENT + FURTHER],
)
def test_checks__two_fail__the_earlier_answers(
    ask: Ask, earlier: tuple[Wrong, int, str], later: tuple[Wrong, int, str]
):
    later[0](ask)
    earlier[0](ask)

    status, detail = refusal(ask.send())
    assert (status, earlier[2] in detail) == (earlier[1], True), detail


def test_checks__refused_request__is_counted_only_after_access(ask: Ask):
    """What is refused before the throttle costs nothing; what is refused behind it does."""
    value = key_for(ask.user, ["experiment:write"])
    key_id = PersonalAPIKey.objects.get(user=ask.user).pk

    def counted() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT minute_count FROM projects_requestcount WHERE counter = %s", [f"rest:{key_id}"])
            row = cursor.fetchone()
        return 0 if row is None else int(row[0])

    client = Client(headers={"authorization": f"Bearer {value}"})
    client.get(f"/api/projects/{ask.project.pk}/feature_flags/")
    client.get("/api/projects/999999/experiments/")
    assert counted() == 0
    client.put(f"/api/projects/{ask.project.pk}/experiments/")
    client.get(f"/api/projects/{ask.project.pk}/experiments/999999/")
    assert counted() == 2

"""The log: one JSON line a request that says what was asked and how it went, and no secret."""

import json
import logging
import time
from typing import Any

import httpx
import pytest
from rest_framework.test import APIClient

from experiments_service.request_log import JSONFormatter
from projects.models import PersonalAPIKey, Project, User
from tests.cast import bearer, key_for
from tests.live_service import LiveService

FLAGS_ROUTE = "/api/projects/<project_id>/feature_flags/"


def requests_in(output: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [line for line in lines if line["logger"] == "experiments_service.requests"]


def logged(service: LiveService, *, after: int, count: int) -> str:
    """What the service printed after that many characters, once it holds `count` requests."""
    deadline = time.monotonic() + 10
    while len(requests_in(service.output[after:])) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    return service.output[after:]


def line_of(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The one line that a request has logged."""
    (record,) = [record for record in caplog.records if record.name == "experiments_service.requests"]
    line: dict[str, Any] = json.loads(JSONFormatter().format(record))
    return line


@pytest.fixture
def caplog_of_requests(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="experiments_service.requests")
    return caplog


@pytest.mark.parametrize("path", ["/capture/", "/e/", "/i/v0/e/", "/track/"])
def test_request__of_a_client_library__names_its_route(
    db: None, path: str, caplog_of_requests: pytest.LogCaptureFixture
) -> None:
    APIClient().get(path)
    assert line_of(caplog_of_requests)["route"] == path


def test_request__served__is_one_line_with_all_facts(
    project: Project, member: User, caplog_of_requests: pytest.LogCaptureFixture
) -> None:
    bearer(key_for(member)).get(f"/api/projects/{project.pk}/feature_flags/?search=pricing")
    line = line_of(caplog_of_requests)
    assert line.pop("milliseconds") > 0
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "experiments_service.requests",
        "message": "request",
        "method": "GET",
        "route": FLAGS_ROUTE,
        "status": 200,
        "project": project.pk,
        "key": PersonalAPIKey.objects.get().pk,
    }


def test_request__without_credential__has_no_key(
    project: Project, anonymous_api: APIClient, caplog_of_requests: pytest.LogCaptureFixture
) -> None:
    anonymous_api.get(f"/api/projects/{project.pk}/feature_flags/")
    line = line_of(caplog_of_requests)
    assert (line["status"], line["key"]) == (401, None)


def test_request__unknown_path__is_not_repeated(
    anonymous_api: APIClient, caplog_of_requests: pytest.LogCaptureFixture
) -> None:
    anonymous_api.get("/api/phx_a_key_in_the_wrong_place")
    assert "wrong_place" not in json.dumps(line_of(caplog_of_requests))


def test_request__made_up_verb__is_other(
    anonymous_api: APIClient, caplog_of_requests: pytest.LogCaptureFixture
) -> None:
    anonymous_api.generic("PHX_SECRET", "/api/projects/1/feature_flags/")
    assert line_of(caplog_of_requests)["method"] == "other"


def test_running_service__keys_sent_in_every_way__are_in_no_log(service: LiveService) -> None:
    credentials = service.credentials
    url = f"{service.base_url}/api/projects/{credentials['project_id']}/feature_flags/"
    key, secret, bad = credentials["personal_api_key"], credentials["project_secret_api_key"], "phx_" + "b" * 43
    start = len(service.output)
    statuses = [
        httpx.get(url, headers={"Authorization": f"Bearer {key}"}).status_code,
        httpx.get(url, params={"personal_api_key": key}).status_code,
        httpx.post(url, json={"personal_api_key": key, "key": 1}).status_code,
        httpx.get(url, headers={"Authorization": f"Bearer {bad}"}).status_code,
        httpx.get(url, headers={"Authorization": f"Bearer {secret}"}).status_code,
        httpx.get(f"{service.base_url}/{key}").status_code,
    ]
    output = logged(service, after=start, count=len(statuses))
    assert [line["status"] for line in requests_in(output)] == statuses
    assert [status for status in statuses if status >= 500] == []
    for value in (key, secret, bad):
        assert value not in output


def test_running_service__session_cookie_and_password__are_in_no_log(service: LiveService) -> None:
    start = len(service.output)
    form = {"username": service.credentials["email"], "password": service.credentials["password"]}
    httpx.post(f"{service.base_url}/login/", data=form, headers={"Cookie": "sessionid=abcdefghijklmnop"})
    output = logged(service, after=start, count=1)
    assert service.credentials["password"] not in output
    assert "abcdefghijklmnop" not in output


def test_formatter__key_in_an_exception__is_cut_to_its_kind() -> None:
    try:
        raise ValueError("phs_" + "a" * 43)
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, __file__, 1, "phx_%s", ("b" * 43,), (type(error), error, error.__traceback__)
        )
    line = json.loads(JSONFormatter().format(record))
    assert line["message"] == "phx_..."
    assert "aaaa" not in line["exception"].replace('"a" * 43', "")
    assert "ValueError: phs_..." in line["exception"]

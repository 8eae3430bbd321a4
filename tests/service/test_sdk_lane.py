"""The short way of the addresses that client libraries ask all the time."""

import json
import logging

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import resolve

from experiments_service.request_log import RequestLogMiddleware
from experiments_service.sdk_lane import SDKLane
from projects.models import Project


def rest(request: HttpRequest) -> HttpResponse:
    return HttpResponse("the rest of the middleware")


@pytest.mark.parametrize("path", [path + slash for path in settings.SDK_LANE for slash in ("", "/")])
def test_lane__its_addresses__are_answered_by_the_views_they_are_routed_to(path: str) -> None:
    assert SDKLane(rest).matches[path].func is resolve(path).func
    # No database: nobody is known by no key.
    answer = SDKLane(rest)(RequestFactory().options(path))
    assert answer.status_code == 204


@pytest.mark.parametrize("path", ["/", "/flags/definitions", "/flags//", "/api/projects/", "/FLAGS", "/admin/"])
def test_lane__other_addresses__take_the_whole_way(path: str) -> None:
    assert SDKLane(rest)(RequestFactory().get(path)).getvalue() == b"the rest of the middleware"


@pytest.mark.django_db
def test_flags__as_an_answer__sets_no_cookie_and_may_not_be_sniffed(client: Client, project: Project) -> None:
    sent = {"token": project.api_token, "distinct_id": "ada"}
    answer = client.post("/flags/?v=2", sent, content_type="application/json")
    assert answer.status_code == 200
    assert not answer.cookies
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "Vary" not in answer


def test_lane__log_line__names_the_route(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="experiments_service.requests"):
        RequestLogMiddleware(SDKLane(rest))(RequestFactory().options("/flags"))
    (record,) = caplog.records
    assert json.loads(json.dumps(record.fields))["route"] == "/flags/"  # type: ignore[attr-defined]  # ours


def test_view_fails_unforeseen__is_told_in_plain_words(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **named: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("feature_flags.api.evaluation.cache.of_token", broken)
    client.raise_request_exception = False
    answer = client.post("/flags/?v=2", {"token": "phc_x", "distinct_id": "a"}, content_type="application/json")
    assert answer.status_code == 500
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert b"boom" not in answer.content

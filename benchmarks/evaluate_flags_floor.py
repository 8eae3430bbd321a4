"""What runs in the server process for `evaluate_flags`: the floor, and a clock close to the code."""

import time
from collections.abc import Callable
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from benchmarks.evaluate_flags import PERSON, SERVICE
from common.matching import Moment
from feature_flags.api import evaluation
from feature_flags.definitions_cache import cache
from feature_flags.evaluation.evaluate import Evaluator
from feature_flags.evaluation.subject import Subject

REPETITIONS = 2000

_kept: dict[bytes, bytes] = {}


@csrf_exempt
def floor(request: HttpRequest) -> HttpResponse:
    """The bare view: at the first request the service's own answer, then the same bytes again and again."""
    body = request.body
    if body not in _kept:
        _kept[body] = evaluation.flags(_as_service_request(body)).content  # type: ignore[attr-defined]  # has content
    return HttpResponse(_kept[body], content_type="application/json")


@csrf_exempt
def inside(request: HttpRequest) -> HttpResponse:
    """How long things take in this process, in microseconds."""
    body = request.body
    project = cache.of_token(orjson.loads(body)["token"])
    if project is None:
        raise ValueError("There is no such project.")
    selection = project.visible(runtime="server", contexts=())
    who = Subject(
        distinct_id="user-61", moment=Moment(timezone.now(), project.zone), person={**PERSON, "distinct_id": "user-61"}
    )
    times = {
        "request": _times(lambda: evaluation.flags(_as_service_request(body))),
        "evaluator": _times(lambda: Evaluator(project.definitions, who).all(selection)),
    }
    return HttpResponse(orjson.dumps(times), content_type="application/json")


def _as_service_request(body: bytes) -> HttpRequest:
    agent = {"User-Agent": "posthog-python/7.91.1"}
    return RequestFactory(headers=agent).post(SERVICE, body, content_type="application/json")


def _times(act: Callable[[], Any]) -> list[float]:
    measured = []
    for _ in range(REPETITIONS):
        began = time.perf_counter()
        act()
        measured.append((time.perf_counter() - began) * 1e6)
    return measured

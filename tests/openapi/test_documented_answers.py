"""The comparison of answers with the document notices what it is there for."""

from typing import Any

import pytest
from django.http import HttpResponse, JsonResponse

from tests.documented_answers import UndocumentedAnswer, check

FLAGS = "/api/projects/1/feature_flags"
REFUSAL = {"type": "invalid_request", "code": "not_found", "detail": "Not found.", "attr": None}
PAGE: dict[str, Any] = {"count": 0, "next": None, "previous": None, "results": []}


def refused_delete(body: str, allow: str) -> HttpResponse:
    return HttpResponse(body, status=405, content_type="application/json", headers={"Allow": allow})


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("GET", f"{FLAGS}/", JsonResponse(PAGE)),
        ("GET", FLAGS, JsonResponse(PAGE)),
        ("GET", f"{FLAGS}/7/", JsonResponse(REFUSAL, status=404)),
        ("PUT", f"{FLAGS}/7/", JsonResponse(REFUSAL, status=405)),
        ("GET", "/somewhere/else/", HttpResponse("anything")),
        ("DELETE", f"{FLAGS}/7/", refused_delete("", "GET")),
    ],
)
def test_check__documented_answer__passes(method: str, path: str, answer: HttpResponse) -> None:
    check(method, path, answer)


@pytest.mark.parametrize(
    ("method", "path", "answer", "complaint"),
    [
        ("GET", f"{FLAGS}/", JsonResponse({**PAGE, "count": "0"}), "count: '0' is not of type 'integer'"),
        ("GET", f"{FLAGS}/", JsonResponse({**PAGE, "count": None}), "count"),
        ("GET", f"{FLAGS}/", JsonResponse({**PAGE, "more": 1}), "Additional properties are not allowed"),
        ("GET", f"{FLAGS}/", JsonResponse(PAGE, status=202), "the document has only"),
        ("GET", f"{FLAGS}/", HttpResponse("{}", content_type="text/plain"), "with text/plain"),
        ("GET", f"{FLAGS}/7/", JsonResponse({"detail": "Not found."}, status=404), "is a required property"),
        ("PUT", f"{FLAGS}/7/", JsonResponse(PAGE), "no such operation"),
        (
            "DELETE",
            f"{FLAGS}/7/",
            HttpResponse(status=405, content_type="application/json"),
            "without the documented header Allow",
        ),
        ("DELETE", f"{FLAGS}/7/", refused_delete("x", "GET"), "with a body"),
    ],
)
def test_check__undocumented_answer__is_told(method: str, path: str, answer: HttpResponse, complaint: str) -> None:
    with pytest.raises(UndocumentedAnswer, match=complaint):
        check(method, path, answer)

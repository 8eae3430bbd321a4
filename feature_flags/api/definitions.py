"""`/flags/definitions`: the definitions feed where the newer client libraries look for it."""

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from common.api.errors import body
from common.errors import Denied, Missing
from feature_flags.api import sdk_credentials
from feature_flags.api.feeds import definitions_of
from feature_flags.api.sdk_endpoint import json_answer, sdk_endpoint
from projects import throttling
from projects.authentication import Credential
from projects.models import Project


def _failed(status: int, text: str) -> HttpResponse:
    return _refused(status, "error", text, error_type="server_error")


@sdk_endpoint(methods=("GET",), tell=_failed)
def definitions(request: HttpRequest) -> HttpResponse:
    entered = _entered(request)
    return definitions_of(request, entered.pk) if isinstance(entered, Project) else entered


def _entered(request: HttpRequest) -> Project | HttpResponse:
    """The project whose definitions the caller may have, or the refusal."""
    secret = sdk_credentials.bearer(request)
    if secret is None:
        return _refused(401, "not_authenticated", "Authentication credentials were not provided.")
    credential = sdk_credentials.find(secret)
    if credential is None:
        return _invalid(secret)
    if not sdk_credentials.may_read_flags(credential):
        detail = "Personal API key lacks required scopes (feature_flag:read or feature_flag:write)."
        return _refused(403, "permission_denied", detail)
    return _opened(request, secret, credential)


def _opened(request: HttpRequest, secret: str, credential: Credential) -> Project | HttpResponse:
    try:
        project = sdk_credentials.project_of(request, credential)
    except Missing:
        return _invalid(secret)
    except Denied as error:
        # A secret of another project is no secret here. A person's key is known, and may not enter.
        is_project_secret = sdk_credentials.is_project_secret(secret)
        return _invalid(secret) if is_project_secret else _refused(403, error.code, error.detail)
    if settings.THROTTLING_ENABLED:
        wait = throttling.spend(allowance=throttling.DEFINITIONS, key_id=credential.key_id)
        if wait is not None:
            return _throttled(wait)
    return project


def _refused(status: int, code: str, detail: str, *, error_type: str = "authentication_error") -> HttpResponse:
    return json_answer(orjson.dumps(body(error_type=error_type, code=code, detail=detail)), status=status)


def _invalid(secret: str) -> HttpResponse:
    kind = "Secret API token" if sdk_credentials.is_project_secret(secret) else "Personal API key"
    return _refused(401, "authentication_failed", f"{kind} is invalid.")


def _throttled(wait: int) -> HttpResponse:
    seconds = "1 second" if wait == 1 else f"{wait} seconds"
    detail = f"Request was throttled. Expected available in {seconds}."
    answer = _refused(429, "throttled", detail, error_type="throttled_error")
    answer["Retry-After"] = str(wait)
    return answer

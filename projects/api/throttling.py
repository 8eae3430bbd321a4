"""The REST framework's side of throttling."""

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from projects import throttling
from projects.access import credential_of


class RestThrottle(BaseThrottle):
    """Counts the requests of keys against the REST allowance. Sessions are not counted."""

    allowance = throttling.REST
    _wait: int | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        credential = credential_of(request)
        if credential is None or not settings.THROTTLING_ENABLED:
            return True
        self._wait = throttling.spend(allowance=self.allowance, key_id=credential.key_id)
        return self._wait is None

    def wait(self) -> float | None:
        return self._wait


class DefinitionsThrottle(RestThrottle):
    """The same against the allowance of flag definitions and remote config."""

    allowance = throttling.DEFINITIONS

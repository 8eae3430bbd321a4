"""How fresh a session is. Stamped at each sign-in, whichever door it came through: `/login/` or the admin site."""

import time
from datetime import timedelta
from typing import Any

from django.http import HttpRequest

RECENT = timedelta(hours=2)
_STAMP = "signed_in_at"


def stamp(*, request: HttpRequest, **signal: Any) -> None:
    """Receiver of Django's `user_logged_in`: remember when this session was last proved by a password."""
    request.session[_STAMP] = time.time()


def is_recent(request: HttpRequest) -> bool:
    """Whether the session's last sign-in is at most two hours ago."""
    stamped: float | None = request.session.get(_STAMP)
    return stamped is not None and time.time() - stamped <= RECENT.total_seconds()

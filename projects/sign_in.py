"""How often somebody may try to sign in, and how fresh a session is."""

import time
from datetime import timedelta
from hashlib import sha256
from typing import Any

from django.http import HttpRequest

from projects import throttling

RECENT = timedelta(hours=2)
_STAMP = "signed_in_at"


def stamp(*, request: HttpRequest, **signal: Any) -> None:
    """Receiver of Django's `user_logged_in`: remember when this session was last proved by a password."""
    request.session[_STAMP] = time.time()


def is_recent(request: HttpRequest) -> bool:
    """Whether the session's last sign-in is at most two hours ago."""
    stamped: float | None = request.session.get(_STAMP)
    return stamped is not None and time.time() - stamped <= RECENT.total_seconds()


def try_once(request: HttpRequest, *, email: str) -> int | None:
    """Count an attempt to sign in. None admits it; else whole seconds to wait, whatever the password is.

    Counted are the attempts of one address of the network on one e-mail address, in every installation: nobody else is
    kept waiting, and passwords cannot be tried by the thousand.
    """
    return throttling.spend(allowance=throttling.SIGN_IN, key_id=_visitor(request, email))


def succeed(request: HttpRequest, *, email: str) -> None:
    """Forget the attempts before a right password."""
    throttling.forget(allowance=throttling.SIGN_IN, key_id=_visitor(request, email))


def _visitor(request: HttpRequest, email: str) -> str:
    known_as = f"{request.META.get('REMOTE_ADDR', '')} {email.strip().casefold()}"
    return sha256(known_as.encode("utf-8", "replace")).hexdigest()

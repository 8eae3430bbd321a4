"""Which flags a caller sees: by where it runs and by the contexts it names. Pure."""

from collections.abc import Collection, Mapping
from typing import Any

from feature_flags.evaluation.definitions import Flag

CLIENT, SERVER, ALL = "client", "server", "all"

_CLIENT_AGENTS = ("Mozilla", "posthog-android/", "posthog-ios/", "posthog-react-native/", "posthog-flutter/")
_SERVER_AGENTS = (
    "posthog-python/",
    "posthog-ruby/",
    "posthog-php/",
    "posthog-java/",
    "posthog-go/",
    "posthog-node/",
    "posthog-dotnet/",
    "posthog-elixir/",
    "python-requests/",
    "curl/",
)


def runtime_of_caller(stated: object, environ: Mapping[str, Any]) -> str | None:
    """`client` or `server`: as stated, else by the user agent, else by what only browsers send. None when unknown.

    `environ` holds the headers under the names that WSGI gives them.
    """
    if stated in (CLIENT, SERVER):
        return str(stated)
    agent = environ.get("HTTP_USER_AGENT", "")
    if any(name in agent for name in _CLIENT_AGENTS):
        return CLIENT
    if any(name in agent for name in _SERVER_AGENTS):
        return SERVER
    # Last, because servers that use a browser's way of fetching send these too.
    if any(name in ("HTTP_ORIGIN", "HTTP_REFERER") or name.startswith("HTTP_SEC_FETCH_") for name in environ):
        return CLIENT
    return None


def is_visible(flag: Flag, *, runtime: str | None, contexts: Collection[str]) -> bool:
    """Whether a caller of this runtime that names these contexts sees the flag."""
    if flag.runtime not in (ALL, runtime):
        return False
    return not flag.contexts or not flag.contexts.isdisjoint(contexts)

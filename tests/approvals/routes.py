"""Every route of the service that writes, found by walking its addresses."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

READING = {"get", "head", "options", "trace"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRoute:
    """An address and a verb. `view` is the class or function behind it, `name` the action or the verb."""

    verb: str
    path: str
    view: str
    name: str
    cls: type[Any] | None


def write_routes() -> list[WriteRoute]:
    """All of them but the pages of the admin site, which `admin.site` knows by their models."""
    routes = []
    for route, pattern in _patterns(get_resolver().url_patterns):
        if route.startswith("admin/"):
            continue
        callback: Any = pattern.callback
        cls: type[Any] | None = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
        for verb, name in _actions(callback, cls).items():
            if verb not in READING:
                view = callback.__qualname__ if cls is None else cls.__name__
                routes.append(WriteRoute(verb=verb.upper(), path=_plain(route), view=view, name=name, cls=cls))
    return routes


def _patterns(found: list[Any], prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for entry in found:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _patterns(entry.url_patterns, route)
        else:
            yield route, entry


def _actions(callback: Any, cls: type[Any] | None) -> dict[str, str]:
    """What each verb does. A function may do anything for any verb, of which POST stands for all."""
    if cls is None:
        return {"post": "any"}
    actions: dict[str, str] | None = getattr(callback, "actions", None)
    if actions is not None:
        return actions
    return {verb: verb for verb in cls.http_method_names if hasattr(cls, verb)}


def _plain(route: str) -> str:
    path = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", route.replace("^", "").replace("\\.", "."))
    path = re.sub(r"/\?(\$|\\Z)?$", "/", path)
    return "/" + path.replace("{pk}", "{id}").rstrip("$")

"""How approved changes are applied: the apps that own them register here, in their `AppConfig.ready()`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from approvals.gate import Passed
from approvals.models import ChangeRequest
from projects.models import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What came of an applied request. `changed` is False when everything was as requested already."""

    resource_id: object
    resource_version: int | None
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredAct:
    """How the requests of one act are carried out.

    lock: lock what the act reads and writes, in the one order of locks; answers what `perform` needs. Raises Missing.
    perform: do the whole act as the user, by all rules, with the gate passed. Tests first whether everything is as
        requested already. Called inside the transaction of `lock`. Raises DomainError when a rule refuses.
    moved: of these requests, those made on a state that is no more, and why. A few queries, whatever their number.
    """

    lock: Callable[[ChangeRequest], Any]
    perform: Callable[[Any, ChangeRequest, User, Passed], Applied]
    moved: Callable[[Sequence[ChangeRequest]], Mapping[UUID, str]]


_acts: dict[str, RegisteredAct] = {}


def register(name: str, act: RegisteredAct) -> None:
    """Have requests of this act carried out by `act`."""
    _acts[name] = act


def registered(name: str) -> RegisteredAct:
    """How requests of this act are carried out."""
    return _acts[name]


def moved(requests: Iterable[ChangeRequest]) -> dict[UUID, str]:
    """Of these requests, those made on a state that is no more, and why."""
    together: dict[Callable[[Sequence[ChangeRequest]], Mapping[UUID, str]], list[ChangeRequest]] = {}
    for request in requests:
        together.setdefault(registered(request.act).moved, []).append(request)
    return {request_id: why for find, group in together.items() for request_id, why in find(group).items()}

"""Compiled definitions, kept by this process for as long as they are true.

A project's definitions are used again without a query while this process listens for changes and has heard of none.
Where it cannot be sure it looks: when it does not listen, after a write that went through this process (whose
notification may still be on its way), and every half minute. Looking costs four short queries and compiles only what
changed. Inside a transaction nothing is kept and nothing kept is used: it may see what others do not.
"""

import threading
import time
from dataclasses import dataclass

from django.db import DEFAULT_DB_ALIAS, connections

from common.errors import Missing
from feature_flags.change_listener import ChangeListener
from feature_flags.project_definitions import ProjectDefinitions, load

# Bounds the age of definitions should a notification be lost in a way nobody has thought of.
TRUST_SECONDS = 30.0
MAX_PROJECTS = 1000
MAX_TOKEN = 64


@dataclass(slots=True)
class _Kept:
    known: ProjectDefinitions
    # Up to which point in the sequence of changes they are known to be true, and when they were read.
    change: int
    read_at: float


class DefinitionsCache:
    """The definitions of the projects this process has been asked about. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listener = ChangeListener()
        self._by_project: dict[int, _Kept] = {}
        self._project_of: dict[str, int] = {}
        self._changes = 0
        self._changed: dict[int, int] = {}
        self._everything_changed = 0

    def of_token(self, token: str) -> ProjectDefinitions | None:
        """The definitions of the project with this token, None when no project has it."""
        # Texts that can be no token are not looked for; PostgreSQL takes no NUL.
        if len(token) > MAX_TOKEN or "\x00" in token:
            return None
        return self._get(project_id=None, token=token)

    def of_project(self, project_id: int) -> ProjectDefinitions:
        """The definitions of a project. Raises Missing when it is gone."""
        found = self._get(project_id=project_id, token=None)
        if found is None:
            raise Missing("Project not found.")
        return found

    def distrust(self) -> None:
        """Look again before the next answer, whatever has been heard."""
        with self._lock:
            self._note_everything()

    def close(self) -> None:
        """Stop listening and forget everything."""
        with self._lock:
            self._listener.close()
            self._by_project.clear()
            self._project_of.clear()
            self._note_everything()

    def _get(self, *, project_id: int | None, token: str | None) -> ProjectDefinitions | None:
        if connections[DEFAULT_DB_ALIAS].in_atomic_block:
            return load(project_id=project_id, token=token)
        with self._lock:
            is_listening = self._hear()
            number = self._project_of.get(token) if token is not None else project_id
            kept = None if number is None else self._by_project.get(number)
            if (
                kept is not None
                and is_listening
                and kept.change >= max(self._everything_changed, self._changed.get(kept.known.project_id, 0))
                and time.monotonic() - kept.read_at < TRUST_SECONDS
            ):
                return kept.known
            # Changes that are heard of from here on may be missing in what is read now.
            change = self._changes
        found = load(project_id=project_id, token=token, known=None if kept is None else kept.known)
        with self._lock:
            self._keep(found, token=token, change=change)
        return found

    def _hear(self) -> bool:
        messages = self._listener.heard()
        if messages is None:
            self._note_everything()
            return self._listener.listen()
        for message in messages:
            if message.isdigit():
                self._changes += 1
                self._changed[int(message)] = self._changes
        return True

    def _note_everything(self) -> None:
        self._changes += 1
        self._everything_changed = self._changes
        self._changed.clear()

    def _keep(self, found: ProjectDefinitions | None, *, token: str | None, change: int) -> None:
        if found is None:
            if token is not None:
                self._project_of.pop(token, None)
            return
        replaced = self._by_project.pop(found.project_id, None)
        if replaced is not None and replaced.known.token != found.token:
            self._project_of.pop(replaced.known.token, None)
        while len(self._by_project) >= MAX_PROJECTS:
            oldest = self._by_project.pop(next(iter(self._by_project)))
            self._project_of.pop(oldest.known.token, None)
        self._by_project[found.project_id] = _Kept(found, change, time.monotonic())
        self._project_of[found.token] = found.project_id


cache = DefinitionsCache()

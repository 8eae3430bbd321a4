"""Bringing events in from files: row by row as capture would take them, batch by batch, remembering how far it got."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from django.db import transaction
from django.utils import timezone

from events import ingestion
from events.import_files import Row, Source
from events.incoming import MAX_AHEAD, Clock, IncomingEvent, InvalidEvent, parse_time, read_event
from events.models import ImportedFile
from events.store import event_store
from projects.models import Project

MADE_IDS = UUID("0b7f6f0a-9d0e-5a53-9f55-6a1f0c0f2d3b")
KEYS = frozenset({"event", "distinct_id", "timestamp", "uuid", "properties", "$set", "$set_once"})
REQUIRED = ("event", "distinct_id", "timestamp")
_DIGESTED_BYTES = 1024 * 1024


class BadRow(Exception):
    """A row that cannot be stored; the text names file, line and reason."""


@dataclass(slots=True)
class Counts:
    """What an import came to. Rows of an earlier run are not counted."""

    read: int = 0
    stored: int = 0
    duplicate: int = 0
    skipped: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to import. `skip_bad_rows` counts bad rows instead of stopping at the first."""

    project: Project
    skip_bad_rows: bool = False
    batch_size: int = 10_000
    restart: bool = False
    dry_run: bool = False


def event_of(row: Row, *, source: Source, project: Project, now: datetime) -> IncomingEvent:
    """The event of a row. Raises BadRow."""
    if row.problem is not None:
        raise _bad(row, source, row.problem)
    sent = row.value
    if not isinstance(sent, dict):
        raise _bad(row, source, "not an object")
    unknown = sorted(sent.keys() - KEYS)
    if unknown:
        raise _bad(row, source, f"unknown key {unknown[0]!r}")
    missing = [key for key in REQUIRED if sent.get(key) is None]
    if missing:
        raise _bad(row, source, f"{missing[0]} is missing")
    time = parse_time(sent["timestamp"])
    if time is None:
        raise _bad(row, source, "timestamp is not ISO 8601")
    if time > now + MAX_AHEAD:
        raise _bad(row, source, f"timestamp lies more than {MAX_AHEAD / timedelta(hours=1):g} hours ahead")
    try:
        uuid = UUID(sent["uuid"]) if sent.get("uuid") is not None else _made_uuid(row, source, project)
    except (ValueError, TypeError, AttributeError):
        raise _bad(row, source, "uuid is none") from None
    try:
        return read_event({**sent, "uuid": str(uuid)}, clock=Clock(now=now))
    except InvalidEvent as error:
        raise _bad(row, source, str(error)) from error


def _made_uuid(row: Row, source: Source, project: Project) -> UUID:
    """The same for the same line of the same file, so that a second import adds nothing."""
    return uuid5(MADE_IDS, f"{project.pk}:{source.name}:{row.number}:{row.text}")


def _bad(row: Row, source: Source, reason: str) -> BadRow:
    return BadRow(f"{source.name}, line {row.number}: {reason}")


def import_file(source: Source, *, options: Options) -> Iterator[Counts]:
    """Import one file; yields the counts so far after each batch, and in the end.

    Each batch is one transaction that also stores the progress. Raises BadRow at the first bad row, unless those are
    skipped; the batches before stay. A file that was finished before is left alone: nothing is yielded.
    """
    progress = _progress(source, options)
    if progress is not None and progress.finished_at is not None:
        return
    counts = Counts()
    with closing(source.rows()) as every_row:
        rows = islice(every_row, 0 if progress is None else progress.rows, None)
        while batch := list(islice(rows, options.batch_size)):
            _import_batch(batch, source=source, options=options, progress=progress, counts=counts)
            yield counts
    if progress is not None:
        progress.finished_at = timezone.now()
        progress.save(update_fields=["finished_at"])
    yield counts


def _import_batch(
    batch: list[Row], *, source: Source, options: Options, progress: ImportedFile | None, counts: Counts
) -> None:
    now = timezone.now()
    events: list[IncomingEvent] = []
    problems: list[str] = []
    for row in batch:
        try:
            events.append(event_of(row, source=source, project=options.project, now=now))
        except BadRow as bad:
            if not options.skip_bad_rows:
                raise
            problems.append(str(bad))
    outcome = ingestion.Stored(stored=0, duplicates=0, expired=0)
    if not options.dry_run:
        outcome = _store(events, options=options, progress=progress, rows=len(batch))
    counts.read += len(batch)
    counts.stored += outcome.stored
    counts.duplicate += outcome.duplicates
    counts.skipped += outcome.expired + len(problems)
    counts.problems = problems


def _store(
    events: list[IncomingEvent], *, options: Options, progress: ImportedFile | None, rows: int
) -> ingestion.Stored:
    # Room is made before the transaction, which would hold locks on the table's structure otherwise.
    event_store().prepare(times=(event.timestamp for event in events))
    with transaction.atomic():
        outcome = ingestion.store(project=options.project, events=events)
        if progress is not None:
            progress.rows += rows
            progress.save(update_fields=["rows"])
    return outcome


def _progress(source: Source, options: Options) -> ImportedFile | None:
    """How far this file has got; None when that is not kept: for standard input, and when nothing is stored."""
    if source.path is None or options.dry_run:
        return None
    identity: dict[str, Any] = {
        "project": options.project,
        "name": source.name,
        "size": source.path.stat().st_size,
        "digest": digest_of(source.path),
    }
    if options.restart:
        ImportedFile.objects.filter(**identity).delete()
    progress, _ = ImportedFile.objects.get_or_create(**identity)
    return progress


def digest_of(path: Path) -> str:
    """SHA-256 of the beginning of the file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.sha256(file.read(_DIGESTED_BYTES)).hexdigest()


def total(counts: Iterable[Counts]) -> Counts:
    """The counts of several files together."""
    sums = Counts()
    for one in counts:
        sums.read += one.read
        sums.stored += one.stored
        sums.duplicate += one.duplicate
        sums.skipped += one.skipped
    return sums

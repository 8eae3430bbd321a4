"""The persons of a batch of events: found, made, changed and merged, in a number of statements that does not grow.

Locks are taken in one order by everybody, so that concurrent batches wait for each other but never in a circle:
distinct ids that are new (by uuid, then by id), then persons that change (by id), then everything else.
"""

# ruff: noqa: S608  (statements are built from constants of these files; values are bound)

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import OperationalError, connection, transaction

from events import identity
from events.identity import Outcome, PersonState, Step, natural_id
from events.store import event_store

_ATTEMPTS = 10
_OWNERS = """
SELECT distinct_ids.distinct_id, persons.id, persons.uuid
FROM events_persondistinctid distinct_ids JOIN events_person persons ON persons.id = distinct_ids.person_id
WHERE distinct_ids.project_id = %(project)s
  AND distinct_ids.distinct_id = ANY(ARRAY(SELECT json_array_elements_text(%(ids)s::json)))
"""

# A person whose natural id was merged away gets a fresh one. What a concurrent batch makes first is not made here.
_MAKE = """
WITH wanted AS MATERIALIZED (
    SELECT wanted.distinct_id, wanted.created_at,
           CASE WHEN overrides.id IS NULL THEN wanted.natural_id ELSE gen_random_uuid() END AS uuid
    FROM json_to_recordset(%(wanted)s::json) AS wanted (distinct_id text, natural_id uuid, created_at timestamptz)
    LEFT JOIN events_personoverride overrides
        ON overrides.project_id = %(project)s AND overrides.old_person_id = wanted.natural_id
), made AS (
    INSERT INTO events_person (project_id, uuid, properties, is_identified, created_at)
    SELECT %(project)s, uuid, '{}', FALSE, created_at FROM wanted ORDER BY uuid
    ON CONFLICT DO NOTHING
    RETURNING id, uuid
), joined AS (
    INSERT INTO events_persondistinctid (project_id, person_id, distinct_id, joined_at)
    SELECT %(project)s, made.id, wanted.distinct_id, now()
    FROM made JOIN wanted USING (uuid) ORDER BY wanted.distinct_id
    ON CONFLICT DO NOTHING
    RETURNING person_id
)
SELECT wanted.distinct_id, made.id, made.uuid, joined.person_id IS NOT NULL
FROM made JOIN wanted USING (uuid) LEFT JOIN joined ON joined.person_id = made.id
"""

_READ = """
SELECT id, uuid, properties::text, is_identified, created_at FROM events_person WHERE id = ANY(%(ids)s) ORDER BY id
"""

_CHANGE = """
UPDATE events_person persons
SET properties = changed.properties, is_identified = changed.is_identified, created_at = changed.created_at
FROM json_to_recordset(%(changed)s::json)
    AS changed (id bigint, properties jsonb, is_identified boolean, created_at timestamptz)
WHERE persons.id = changed.id
"""

_MERGES = """
json_to_recordset(%(merges)s::json)
    AS merges (position int, loser bigint, loser_uuid uuid, winner bigint, winner_uuid uuid)
"""
_MERGE: tuple[str, ...] = (
    f"""
    UPDATE events_personoverride overrides SET person_id = merges.winner_uuid FROM {_MERGES}
    WHERE overrides.project_id = %(project)s AND overrides.person_id = merges.loser_uuid
    """,
    f"""
    INSERT INTO events_personoverride (project_id, old_person_id, person_id)
    SELECT %(project)s, loser_uuid, winner_uuid FROM {_MERGES} ORDER BY loser_uuid
    """,
    f"""
    UPDATE events_persondistinctid distinct_ids
    SET person_id = merges.winner, joined_at = now() + (merges.position + 1) * interval '1 microsecond'
    FROM {_MERGES}
    WHERE distinct_ids.person_id = merges.loser
    """,
    # What the survivor has, it keeps; of several others the first to be merged gives.
    f"""
    INSERT INTO events_continuityoverride (project_id, person_id, feature_flag_id, hash_key)
    SELECT DISTINCT ON (merges.winner, mine.feature_flag_id)
           %(project)s, merges.winner, mine.feature_flag_id, mine.hash_key
    FROM events_continuityoverride mine JOIN {_MERGES} ON mine.person_id = merges.loser
    ORDER BY merges.winner, mine.feature_flag_id, merges.position
    ON CONFLICT DO NOTHING
    """,
    f"""
    INSERT INTO events_cohortmembership (project_id, cohort_id, person_id)
    SELECT DISTINCT %(project)s, mine.cohort_id, merges.winner
    FROM events_cohortmembership mine JOIN {_MERGES} ON mine.person_id = merges.loser
    ORDER BY mine.cohort_id, merges.winner
    ON CONFLICT DO NOTHING
    """,
    f"DELETE FROM events_continuityoverride WHERE person_id IN (SELECT loser FROM {_MERGES})",
    f"DELETE FROM events_cohortmembership WHERE person_id IN (SELECT loser FROM {_MERGES})",
    f"DELETE FROM events_person WHERE id IN (SELECT loser FROM {_MERGES})",
)

Owners = dict[str, tuple[int, UUID]]


def find(*, project_id: int, distinct_ids: Collection[str]) -> Owners:
    """The person (id and uuid) of every distinct id that has one."""
    if not distinct_ids:
        return {}
    rows = _select(_OWNERS, project=project_id, ids=orjson.dumps(list(distinct_ids)).decode())
    return {distinct_id: (person_id, uuid) for distinct_id, person_id, uuid in rows}


def ensure(*, project_id: int, first_seen: Mapping[str, datetime]) -> Owners:
    """The person of each distinct id, made where there is none. To be called in a transaction.

    Raises OperationalError when others delete these persons faster than they can be made.
    """
    owners = find(project_id=project_id, distinct_ids=first_seen.keys())
    for _ in range(_ATTEMPTS):
        missing = first_seen.keys() - owners.keys()
        if not missing:
            return owners
        owners |= _make(project_id=project_id, first_seen={id_: first_seen[id_] for id_ in missing})
        owners |= find(project_id=project_id, distinct_ids=first_seen.keys() - owners.keys())
    raise OperationalError("persons could not be made")


def _make(*, project_id: int, first_seen: Mapping[str, datetime]) -> Owners:
    wanted = [
        {"distinct_id": distinct_id, "natural_id": natural_id(project_id, distinct_id), "created_at": time}
        for distinct_id, time in first_seen.items()
    ]
    made = _select(_MAKE, project=project_id, wanted=orjson.dumps(wanted).decode())
    # Somebody else made a person for the id while this one was made.
    orphans = [person_id for _, person_id, _, joined in made if not joined]
    if orphans:
        _execute("DELETE FROM events_person WHERE id = ANY(%(ids)s)", ids=orphans)
    return {distinct_id: (person_id, uuid) for distinct_id, person_id, uuid, joined in made if joined}


def change(*, project_id: int, steps: Sequence[Step], owners: Owners) -> Mapping[str, tuple[int, UUID]]:
    """Apply the steps of a batch to the stored persons; the owners of the steps' distinct ids afterwards.

    Steps that change nothing lock nothing. To be called in a transaction, after `ensure`.
    """
    if not steps:
        return owners
    if _changes_nothing(steps, owners):
        return owners
    steps = _new_ones(steps, project_id=project_id)
    for _ in range(_ATTEMPTS):
        savepoint = transaction.savepoint()
        merging = any(step.merge_from is not None for step in steps)
        persons = _read(_ids(steps, owners).values(), lock="FOR UPDATE" if merging else "FOR NO KEY UPDATE")
        present = find(project_id=project_id, distinct_ids={id_ for step in steps for id_ in step.distinct_ids})
        owners = owners | present
        if all(person_id in persons for person_id in _ids(steps, owners).values()):
            transaction.savepoint_commit(savepoint)
            outcome = identity.apply(steps, owners=_ids(steps, owners), persons=persons)
            _write(outcome, project_id=project_id, order=list(outcome.merged))
            return _after(owners, outcome)
        # A merge came between. Giving the locks up and starting over keeps their order.
        transaction.savepoint_rollback(savepoint)
    raise OperationalError("persons could not be locked")


def _changes_nothing(steps: Sequence[Step], owners: Owners) -> bool:
    """Whether the persons are already as the steps would make them, as far as can be seen without locks."""
    ids = _ids(steps, owners)
    persons = _read(ids.values())
    # A person that is gone was merged just now.
    return persons.keys() >= set(ids.values()) and identity.apply(steps, owners=ids, persons=persons).is_empty


def _ids(steps: Iterable[Step], owners: Owners) -> dict[str, int]:
    return {distinct_id: owners[distinct_id][0] for step in steps for distinct_id in step.distinct_ids}


def _new_ones(steps: Sequence[Step], *, project_id: int) -> list[Step]:
    """The steps of events that are not stored yet: an event sent again changes nothing again."""
    identities = [(step.event.timestamp, step.event.uuid) for step in steps]
    stored = event_store().stored(project_id=project_id, identities=identities)
    return [step for step, event_identity in zip(steps, identities, strict=True) if event_identity not in stored]


def _read(person_ids: Iterable[int], lock: str = "") -> dict[int, PersonState]:
    rows = _select(_READ + lock, ids=list(set(person_ids)))
    return {
        person_id: PersonState(person_id, uuid, orjson.loads(properties), is_identified, created_at)
        for person_id, uuid, properties, is_identified, created_at in rows
    }


def _write(outcome: Outcome, *, project_id: int, order: list[int]) -> None:
    if outcome.changed:
        changed = [
            {
                "id": person.id,
                "properties": person.properties,
                "is_identified": person.is_identified,
                "created_at": person.created_at,
            }
            for person in outcome.changed
        ]
        _execute(_CHANGE, changed=orjson.dumps(changed).decode())
    if outcome.merged:
        merges = [
            {
                "position": position,
                "loser": loser,
                "loser_uuid": outcome.persons[loser].uuid,
                "winner": outcome.merged[loser].id,
                "winner_uuid": outcome.merged[loser].uuid,
            }
            for position, loser in enumerate(order)
        ]
        for statement in _MERGE:
            _execute(statement, project=project_id, merges=orjson.dumps(merges).decode())


def _after(owners: Owners, outcome: Outcome) -> Owners:
    if not outcome.merged:
        return owners
    return {
        distinct_id: (survivor.id, survivor.uuid) if (survivor := outcome.merged.get(person_id)) else (person_id, uuid)
        for distinct_id, (person_id, uuid) in owners.items()
    }


def _select(sql: str, **parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[Any] = cursor.fetchall()
        return rows


def _execute(sql: str, **parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)

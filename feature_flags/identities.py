"""What is stored of those for whom flags are evaluated: one query, and none when nothing stored is needed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import IntegrityError, connection

from events.models import ContinuityOverride

# Without a person of its own an id that is about to be identified is the anonymous person's.
_QUERY = """
WITH person AS (
    SELECT person.id, person.properties, person.created_at
    FROM events_persondistinctid AS known JOIN events_person AS person ON person.id = known.person_id
    WHERE known.project_id = %(project_id)s AND known.distinct_id = ANY(%(distinct_ids)s::text[])
    ORDER BY array_position(%(distinct_ids)s::text[], known.distinct_id::text)
    LIMIT 1
)
SELECT person.id, person.properties::text, person.created_at,
    (SELECT array_agg(member.cohort_id) FROM events_cohortmembership AS member
     WHERE member.person_id = person.id AND member.cohort_id = ANY(%(cohorts)s::bigint[])),
    (SELECT json_object_agg(kept.feature_flag_id, kept.hash_key)::text FROM events_continuityoverride AS kept
     WHERE kept.person_id = person.id AND kept.feature_flag_id = ANY(%(flags)s::bigint[])),
    (SELECT json_object_agg(found.group_type_index, found.group_properties)::text
     FROM events_group AS found
     JOIN unnest(%(indexes)s::int[], %(group_keys)s::text[]) AS wanted (group_type_index, group_key)
       ON found.group_type_index = wanted.group_type_index AND found.group_key = wanted.group_key
     WHERE found.project_id = %(project_id)s)
FROM (SELECT) AS always LEFT JOIN person ON TRUE
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredIdentity:
    """What is stored of a person and of groups; empty for an unknown person.

    `group_properties` are by group type index, `overrides` by flag id.
    """

    person_id: int | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None
    static_cohorts: frozenset[int] = frozenset()
    overrides: Mapping[int, str] = field(default_factory=dict)
    group_properties: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)


NOBODY = StoredIdentity()


def stored_identity(
    *,
    project_id: int,
    distinct_id: str,
    anonymous_id: str | None = None,
    groups: Mapping[int, str] | None = None,
    cohorts: Collection[int] = (),
    flags: Collection[int] = (),
) -> StoredIdentity:
    """The person that owns `distinct_id`, which of `cohorts` (static ones) list it, its overrides for `flags`, and
    the properties of `groups` (keys by group type index). One query."""
    wanted = groups or {}
    with connection.cursor() as cursor:
        cursor.execute(
            _QUERY,
            {
                "project_id": project_id,
                "distinct_ids": [distinct_id] if anonymous_id is None else [distinct_id, anonymous_id],
                "cohorts": list(cohorts),
                "flags": list(flags),
                "indexes": list(wanted.keys()),
                "group_keys": list(wanted.values()),
            },
        )
        person_id, properties, created_at, member_of, overrides, found = cursor.fetchone()
    return StoredIdentity(
        person_id=person_id,
        properties={} if properties is None else orjson.loads(properties),
        created_at=None if created_at is None else created_at.astimezone(UTC),
        static_cohorts=frozenset(member_of or ()),
        overrides={} if overrides is None else {int(flag): key for flag, key in orjson.loads(overrides).items()},
        group_properties={}
        if found is None
        else {int(index): kept for index, kept in orjson.loads(found).items() if isinstance(kept, dict)},
    )


def keep_overrides(*, project_id: int, person_id: int, flags: Collection[int], hash_key: str) -> None:
    """Let a person be bucketed by `hash_key` in these flags from now on, where nothing is kept yet."""
    rows = [
        ContinuityOverride(project_id=project_id, person_id=person_id, feature_flag_id=flag, hash_key=hash_key)
        for flag in flags
    ]
    try:
        ContinuityOverride.objects.bulk_create(rows, ignore_conflicts=True)
    except IntegrityError:
        # The person was merged away or deleted in this moment; the next request finds who it is now.
        return

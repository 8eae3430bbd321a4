"""Group types and what is known of groups, as events tell."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from django.db import connection

from events.incoming import IncomingEvent, text_of
from events.models import MAX_GROUP_KEY, MAX_GROUP_TYPE, MAX_GROUP_TYPES, GroupType

IDENTIFY = "$groupidentify"
GroupKeys = tuple[str | None, str | None, str | None, str | None, str | None]
NO_GROUPS: GroupKeys = (None, None, None, None, None)
_DIRECT = tuple((index, f"$group_{index}") for index in range(MAX_GROUP_TYPES))
# Types by project, as this process has seen them stored. A type is never removed and keeps its index.
_known: dict[int, dict[str, int]] = {}
_MOST_KNOWN = 10_000

_MAKE_TYPES = """
INSERT INTO events_grouptype (project_id, group_type, group_type_index)
SELECT %(project)s, wanted.group_type, present.count + wanted.position - 1
FROM (SELECT count(*) FROM events_grouptype WHERE project_id = %(project)s) AS present,
     (SELECT name AS group_type, row_number() OVER (ORDER BY position) AS position
      FROM json_array_elements_text(%(names)s::json) WITH ORDINALITY AS names (name, position)
      WHERE NOT EXISTS (SELECT FROM events_grouptype WHERE project_id = %(project)s AND group_type = name)) AS wanted
WHERE present.count + wanted.position <= %(most)s
"""
_KNOWN = """
SELECT wanted.position
FROM json_to_recordset(%(wanted)s::json) AS wanted (position int, index int, key text, properties jsonb)
JOIN events_group groups ON groups.project_id = %(project)s
    AND groups.group_type_index = wanted.index AND groups.group_key = wanted.key
WHERE groups.group_properties || wanted.properties = groups.group_properties
"""
_SET = """
INSERT INTO events_group AS groups (project_id, group_type_index, group_key, group_properties, created_at)
SELECT %(project)s, index, key, properties, now()
FROM json_to_recordset(%(wanted)s::json) AS wanted (index int, key text, properties jsonb)
ORDER BY index, key
ON CONFLICT (project_id, group_type_index, group_key)
DO UPDATE SET group_properties = groups.group_properties || excluded.group_properties
WHERE length((groups.group_properties || excluded.group_properties)::text) <= 524288
"""


def types_named(event: IncomingEvent) -> Iterable[str]:
    """The group types that an event names, each at most as long as a type may be."""
    named = event.properties.get("$groups")
    if isinstance(named, dict):
        yield from (name[:MAX_GROUP_TYPE] for name in named if name)
    if event.event == IDENTIFY:
        group_type = event.properties.get("$group_type")
        if isinstance(group_type, str) and group_type:
            yield group_type[:MAX_GROUP_TYPE]


def indexes(*, project_id: int, names: Iterable[str]) -> dict[str, int]:
    """The index of each group type; new ones get the next, those beyond the most a project may have get none."""
    wanted = list(dict.fromkeys(names))
    known = _known.get(project_id, {})
    if not _suffices(known, wanted):
        known = _types(project_id)
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[project_id] = known
    if not _suffices(known, wanted):
        with connection.cursor() as cursor:
            # One maker at a time: the next index is a count.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('events_grouptype'), %s)", [project_id % 2**31])
            cursor.execute(
                _MAKE_TYPES,
                {"project": project_id, "names": orjson.dumps(wanted).decode(), "most": MAX_GROUP_TYPES},
            )
        known = _types(project_id)
    return known


def _suffices(known: Mapping[str, int], wanted: Iterable[str]) -> bool:
    return len(known) == MAX_GROUP_TYPES or known.keys() >= set(wanted)


def _types(project_id: int) -> dict[str, int]:
    return dict(GroupType.objects.filter(project_id=project_id).values_list("group_type", "group_type_index"))


def keys_of(properties: Mapping[str, Any], types: Mapping[str, int]) -> GroupKeys:
    """The group of each type that an event names, `$groups` before `$group_<i>`; an empty key counts as none."""
    keys: list[str | None] | None = None
    for index, name in _DIRECT:
        if name in properties:
            keys = keys or list(NO_GROUPS)
            keys[index] = _key(properties[name])
    named = properties.get("$groups")
    if isinstance(named, dict):
        for name, value in named.items():
            position = types.get(name[:MAX_GROUP_TYPE])
            if position is not None and (key := _key(value)) is not None:
                keys = keys or list(NO_GROUPS)
                keys[position] = key
    return NO_GROUPS if keys is None else (keys[0], keys[1], keys[2], keys[3], keys[4])


def _key(value: Any) -> str | None:
    return None if value is None else text_of(value)[:MAX_GROUP_KEY] or None


def identify(*, project_id: int, events: Iterable[IncomingEvent], types: Mapping[str, int]) -> None:
    """Store what `$groupidentify` events tell of their groups; groups that know it already are not locked."""
    told: dict[tuple[int, str], dict[str, Any]] = {}
    for event in events:
        group_type, key = event.properties.get("$group_type"), _key(event.properties.get("$group_key"))
        index = types.get(group_type[:MAX_GROUP_TYPE]) if isinstance(group_type, str) else None
        if index is None or key is None:
            continue
        properties = event.properties.get("$group_set")
        told.setdefault((index, key), {}).update(properties if isinstance(properties, dict) else {})
    wanted = [
        {"position": position, "index": index, "key": key, "properties": properties}
        for position, ((index, key), properties) in enumerate(told.items())
    ]
    if not wanted:
        return
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN, {"project": project_id, "wanted": orjson.dumps(wanted).decode()})
        known = {position for (position,) in cursor.fetchall()}
        new = [group for group in wanted if group["position"] not in known]
        if new:
            cursor.execute(_SET, {"project": project_id, "wanted": orjson.dumps(new).decode()})

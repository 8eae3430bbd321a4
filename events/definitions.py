"""The names of events, as they are stored."""

from collections.abc import Collection

import orjson
from django.db import connection

# A name seen this hour is left alone: locking its row would make all batches wait for each other.
_UNSEEN = """
SELECT name FROM json_array_elements_text(%(names)s::json) AS names (name)
WHERE NOT EXISTS (
    SELECT FROM events_eventdefinition definitions
    WHERE definitions.project_id = %(project)s AND definitions.name = names.name
      AND definitions.last_seen_at >= date_trunc('hour', now())
)
"""
_SEE = """
INSERT INTO events_eventdefinition AS definitions (id, project_id, name, created_at, last_seen_at)
SELECT gen_random_uuid(), %(project)s, name, now(), now()
FROM json_array_elements_text(%(names)s::json) AS names (name) ORDER BY name
ON CONFLICT (project_id, name) DO UPDATE SET last_seen_at = excluded.last_seen_at
"""


def see(*, project_id: int, names: Collection[str]) -> None:
    """Note that events of these names are being stored now."""
    with connection.cursor() as cursor:
        cursor.execute(_UNSEEN, {"project": project_id, "names": orjson.dumps(list(names)).decode()})
        unseen = [name for (name,) in cursor.fetchall()]
        if unseen:
            cursor.execute(_SEE, {"project": project_id, "names": orjson.dumps(unseen).decode()})

"""The names of events, as they are stored."""

from collections.abc import Collection
from datetime import datetime

import orjson
from django.db import connection
from django.utils import timezone

# When each name of a project was last seen, as far as this process has found it stored.
_known: dict[tuple[int, str], datetime] = {}
_MOST_KNOWN = 100_000

_SEEN = """
SELECT name, last_seen_at FROM events_eventdefinition
WHERE project_id = %(project)s AND name = ANY(ARRAY(SELECT json_array_elements_text(%(names)s::json)))
"""
_SEE = """
INSERT INTO events_eventdefinition AS definitions (id, project_id, name, created_at, last_seen_at)
SELECT gen_random_uuid(), %(project)s, name, now(), now()
FROM json_array_elements_text(%(names)s::json) AS names (name) ORDER BY name
ON CONFLICT (project_id, name) DO UPDATE SET last_seen_at = excluded.last_seen_at
"""


def see(*, project_id: int, names: Collection[str]) -> None:
    """Note that events of these names are being stored now.

    A name seen this hour is left alone: locking its row would make all batches wait for each other.
    """
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    unseen = _unseen(project_id, names, hour)
    if not unseen:
        return
    with connection.cursor() as cursor:
        cursor.execute(_SEEN, {"project": project_id, "names": orjson.dumps(unseen).decode()})
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known.update({(project_id, name): last_seen for name, last_seen in cursor.fetchall()})
        unseen = _unseen(project_id, unseen, hour)
        if unseen:
            cursor.execute(_SEE, {"project": project_id, "names": orjson.dumps(unseen).decode()})


def _unseen(project_id: int, names: Collection[str], hour: datetime) -> list[str]:
    return [name for name in names if (seen := _known.get((project_id, name))) is None or seen < hour]

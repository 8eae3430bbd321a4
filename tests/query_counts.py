"""How many SQL statements requests cost, pinned in `query_counts.json`: more is a regression, less is to be kept."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection
from django.test.utils import CaptureQueriesContext

PINNED: dict[str, int] = json.loads((Path(__file__).parent / "query_counts.json").read_text())


@contextmanager
def pinned(name: str) -> Iterator[None]:
    """Fails unless what is done inside costs exactly the statements that the file has under this name."""
    with CaptureQueriesContext(connection) as captured:
        yield
    statements = "\n".join(query["sql"][:100] for query in captured.captured_queries)
    assert len(captured) == PINNED[name], f"{name} costs {len(captured)}, not {PINNED[name]}:\n{statements}"

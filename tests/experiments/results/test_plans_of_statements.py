"""Results read the events of their own project only: every plan of a statement goes through an index that says so."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from events.models import Event
from projects.models import Project
from tests.capturing import Capture, event
from tests.experiments.conftest import Experiments

STARTED = "2026-01-01T00:00:00Z"
FOREIGN = 20_000
BOUGHT = {"kind": "EventsNode", "event": "bought"}
METRICS: list[dict[str, Any]] = [
    {"metric_type": "mean", "source": BOUGHT},
    {"metric_type": "mean", "source": {**BOUGHT, "math": "sum", "math_property": "amount"}},
    {"metric_type": "funnel", "series": [BOUGHT, {"kind": "EventsNode", "event": "came back"}]},
    {"metric_type": "ratio", "numerator": BOUGHT, "denominator": {"kind": "EventsNode", "event": "came back"}},
    {
        "metric_type": "retention",
        "start_event": BOUGHT,
        "completion_event": BOUGHT,
        "retention_window_start": 1,
        "retention_window_end": 7,
        "retention_window_unit": "day",
        "start_handling": "first_seen",
    },
]
_OF_ANOTHER_PROJECT = """
INSERT INTO events_event
    (project_id, uuid, event, distinct_id, person_id, timestamp, flag_key, flag_response, properties)
SELECT %s, gen_random_uuid(), CASE WHEN number %% 2 = 0 THEN 'bought' ELSE '$feature_flag_called' END, 'x',
       gen_random_uuid(), '2026-01-02'::timestamptz + number * interval '1 minute', 'blue-button', 'test', '{}'
FROM generate_series(1, %s) AS numbers (number)
"""


class Explained:
    """Notes the plans of the statements that read events."""

    def __init__(self) -> None:
        self.scans: list[dict[str, Any]] = []

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        reads = "FROM events_event " in sql and ("WITH" in sql or "INSERT INTO events_measured_rows" in sql)
        if reads and not sql.lstrip().startswith(("EXPLAIN", "DECLARE")):
            with connection.cursor() as cursor:
                cursor.cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
                (document,) = cursor.cursor.fetchone()
            self.scans += [node for node in nodes_of(document[0]["Plan"]) if "events_event" in json.dumps(node)]
        return execute(sql, params, many, context)


def nodes_of(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes without those below them; the scans of a bitmap are told with the heap scan that they serve."""
    below = node.get("Plans", [])
    if node["Node Type"] == "Bitmap Heap Scan":
        yield node
        return
    yield {name: value for name, value in node.items() if name != "Plans"}
    for child in below:
        yield from nodes_of(child)


def conditions_of(scan: dict[str, Any]) -> list[str]:
    """The index conditions of a scan: of a bitmap those of every index it is made of."""
    own = [scan["Index Cond"]] if "Index Cond" in scan else []
    return own + [condition for child in scan.get("Plans", []) for condition in conditions_of(child)]


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, len(METRICS)], ids=["one metric", "metrics that are read at once"])
def test_results__every_scan_of_events__is_narrowed_to_the_project(
    experiments: Experiments,
    project: Project,
    outsider: Any,
    capture: Capture,
    count: int,
) -> None:
    called = {"$feature_flag": "blue-button", "$feature_flag_response": "test"}
    at = "2026-01-03T00:00:00Z"
    capture(*(event("$feature_flag_called", f"u{n}", timestamp=at, properties=called) for n in range(20)))
    capture(*(event("bought", f"u{n}", timestamp="2026-01-04T00:00:00Z") for n in range(20)))
    foreign = Project.objects.exclude(pk=project.pk).get()
    with connection.cursor() as cursor:
        cursor.execute(_OF_ANOTHER_PROJECT, [foreign.pk, FOREIGN])
        cursor.execute("ANALYZE events_event")
    metrics = [{"kind": "ExperimentMetric", **metric} for metric in METRICS[:count]]
    experiment = experiments.made(start_date=STARTED, metrics=metrics)
    explained = Explained()
    with connection.execute_wrapper(explained):
        answer = experiments.client.get(experiments.url(f"{experiment['id']}/results"), {"refresh": "true"})
    assert answer.json()["exposures"]["total_exposures"]["test"] == 20
    assert Event.objects.count() == FOREIGN + 40
    scans = [scan for scan in explained.scans if "Relation Name" in scan and "events_event" in scan["Relation Name"]]
    assert scans
    for scan in scans:
        # The planner may read a partition that is empty from its beginning.
        if scan["Node Type"] == "Seq Scan" and scan["Plan Rows"] <= 1:
            continue
        conditions = conditions_of(scan)
        assert conditions, scan
        assert all("project_id =" in condition for condition in conditions), scan

"""The list of 100 full experiments against the least that such an answer can cost.

The floor is a bare view in the same server process: one SQL query whose stored documents are selected as text and
spliced into the answer. The service answers with access checks, filters, two queries and the documented form; it
should reach at least half the floor's throughput.
"""

from typing import Any

import orjson
from django.db import connection
from django.http import HttpRequest, HttpResponse

from benchmarks.harness import Service, compare, fetch, spread

AIM = 0.5
EXPERIMENTS = 100
LIST = f"/api/projects/@current/experiments/?limit={EXPERIMENTS}"
FLOOR = "/floor/experiments/"

_DOCUMENTS = (
    "e.shown_parameters",
    "e.running_time_calculation",
    "e.secondary_metrics",
    "e.filters",
    "e.exposure_criteria",
    "e.metrics",
    "e.metrics_secondary",
    "e.stats_config",
    "e.scheduling_config",
    "e.primary_metrics_ordered_uuids",
    "e.secondary_metrics_ordered_uuids",
    "f.filters",
)
_PLAIN = (
    "e.id, e.name, e.description, e.start_date, e.end_date, e.excluded_variants, e.archived, e.deleted, e.created_at, "
    "e.updated_at, e.type, e.folder, e.conclusion, e.conclusion_comment, e.exposure_preaggregation_enabled, "
    "e.only_count_matured_users, e.status, f.id AS flag_id, f.key, f.name AS flag_name, f.active, f.deleted AS gone, "
    "f.ensure_experience_continuity, f.has_encrypted_payloads, f.version, f.evaluation_runtime, "
    "f.bucketing_identifier, f.evaluation_contexts, u.id AS user_id, u.uuid, u.distinct_id, u.first_name, u.last_name, "
    "u.email, u.is_email_verified"
)
_SQL = (
    f"SELECT {', '.join(f'({name})::text' for name in _DOCUMENTS)}, {_PLAIN} "
    "FROM experiments_experiment e JOIN feature_flags_featureflag f ON f.id = e.feature_flag_id "
    "LEFT JOIN projects_user u ON u.id = e.created_by_id "
    f"WHERE e.project_id = 1 AND NOT e.deleted ORDER BY e.created_at DESC, e.id DESC LIMIT {EXPERIMENTS}"
)


def floor(request: HttpRequest) -> HttpResponse:
    """The bare view."""
    documents = len(_DOCUMENTS)
    with connection.cursor() as cursor:
        cursor.execute(_SQL)
        names = [*_DOCUMENTS, *(column[0] for column in cursor.description[documents:])]
        results = [
            dict(
                zip(
                    names,
                    [*(None if text is None else orjson.Fragment(text) for text in row[:documents]), *row[documents:]],
                    strict=True,
                )
            )
            for row in cursor.fetchall()
        ]
    return HttpResponse(orjson.dumps({"results": results}), content_type="application/json")


def run(running: Service, *, rounds: int, seconds: float) -> None:
    """Measure and print."""
    for number in range(EXPERIMENTS):
        running.post("/api/projects/@current/experiments/", _experiment(number))
    sizes = {path: len(fetch(running, path)) for path in (LIST, FLOOR)}
    listed = orjson.loads(fetch(running, LIST))["results"]
    if len(listed) != EXPERIMENTS:
        raise RuntimeError(f"The list holds {len(listed)} experiments instead of {EXPERIMENTS}.")
    measured = compare(running, service_path=LIST, floor_path=FLOOR, rounds=rounds, seconds=seconds, clients=2)
    print(f"List of {EXPERIMENTS} full experiments, one worker process, {rounds} rounds of {seconds:g} s in turns")
    print(f"  service  {spread(measured.service, '.1f')} requests/s, {sizes[LIST] / 1000:.1f} kB an answer")
    print(f"  floor    {spread(measured.floor, '.1f')} requests/s, {sizes[FLOOR] / 1000:.1f} kB an answer")
    print(f"  ratio    {spread(measured.ratios, '.2f')}, aim: at least {AIM}")


def _experiment(number: int) -> dict[str, Any]:
    """What a team would set up: two metrics, a guardrail, a plan."""
    return {
        "name": f"Checkout in one step, round {number}",
        "description": "Fewer steps should lose fewer people between the cart and the payment.",
        "feature_flag_key": f"one-step-checkout-{number}",
        "metrics": [
            {
                "kind": "ExperimentMetric",
                "metric_type": "funnel",
                "name": "Cart to purchase",
                "series": [
                    {"kind": "EventsNode", "event": "checkout started"},
                    {"kind": "EventsNode", "event": "purchase completed"},
                ],
                "conversion_window": 14,
                "conversion_window_unit": "day",
            },
        ],
        "stats_config": {"method": "bayesian"},
    }

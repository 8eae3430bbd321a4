"""Metrics, and the events of visitors, that tests of results share."""

import uuid
from typing import Any

Json = dict[str, Any]
PURCHASES: Json = {
    "kind": "ExperimentMetric",
    "metric_type": "mean",
    "uuid": "purchases",
    "name": "Purchases",
    "source": {"kind": "EventsNode", "event": "purchase"},
}
SIGNUP: Json = {
    "kind": "ExperimentMetric",
    "metric_type": "funnel",
    "uuid": "signup",
    "name": "Sign-up",
    "series": [{"kind": "EventsNode", "event": "signup"}],
}


def exposed(variant: str, number: int, *, day: str = "02") -> list[Json]:
    """Calls of the flag by that many users."""
    return [
        {
            "event": "$feature_flag_called",
            "distinct_id": f"{variant}-{user}",
            "timestamp": f"2026-01-{day}T00:00:00Z",
            "uuid": str(uuid.uuid4()),
            "properties": {"$feature_flag": "blue-button", "$feature_flag_response": variant, "$browser": "Firefox"},
        }
        for user in range(number)
    ]


def did(name: str, variant: str, number: int) -> list[Json]:
    return [
        {
            "event": name,
            "distinct_id": f"{variant}-{user}",
            "timestamp": "2026-01-03T00:00:00Z",
            "uuid": str(uuid.uuid4()),
        }
        for user in range(number)
    ]

"""Cohorts over REST, and events to fill them."""

from typing import Any

import pytest

URL = "/api/projects/@current/cohorts/"


def criteria(*leaves: dict[str, Any], type: str = "AND") -> dict[str, Any]:
    return {"properties": {"type": type, "values": list(leaves)}}


def person(key: str, value: Any = None, operator: str = "exact", **more: Any) -> dict[str, Any]:
    return {"type": "person", "key": key, "operator": operator, "value": value, **more}


def did(key: Any, **more: Any) -> dict[str, Any]:
    window = {} if "explicit_datetime" in more else {"time_value": 30, "time_interval": "day"}
    return {
        "type": "behavioral",
        "key": key,
        "event_type": "events",
        "value": "performed_event",
        **window,
        **more,
    }


def member_of(cohort_id: int, **more: Any) -> dict[str, Any]:
    return {"type": "cohort", "key": "id", "value": cohort_id, **more}


@pytest.fixture
def make(api: Any) -> Any:
    """`make("name", leaf, ...)`: the answer to a creation with these criteria, all of which must hold."""

    def send(name: str, *leaves: dict[str, Any], **more: Any) -> dict[str, Any]:
        response = api.post(URL, {"name": name, "filters": criteria(*leaves), **more})
        assert response.status_code == 201, response.json()
        made: dict[str, Any] = response.json()
        return made

    return send

"""Whether an application sends the values of flags with its events yet."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from events.models import Action
from projects.models import Project
from tests.capturing import Capture, event

URL = "/api/projects/@current/experiments/requires_flag_implementation"


def required(api: Any, **query: Any) -> bool:
    response = api.get(URL, {name: json.dumps(value) for name, value in query.items()})
    assert response.status_code == 200, response.json()
    return bool(response.json()["result"])


def test_no_events__required(api: Any, project: Project):
    assert required(api)


def test_event_with_a_flag__not_required(api: Any, project: Project, capture: Capture):
    capture(event("bought", properties={"$feature/f": "test"}), event("seen", properties={"feature": 1}))
    action = Action.objects.create(project=project, name="x", steps=[{"event": "seen"}])

    assert not required(api)
    assert not required(api, events=["bought"])
    assert not required(api, events=[{"id": "bought"}, "seen"])
    assert required(api, events=["seen"])
    assert required(api, actions=[action.pk])
    assert required(api, actions=[{"id": action.pk}])
    assert not required(api, events=["bought"], actions=[action.pk])


def test_event_of_last_week__does_not_count(api: Any, project: Project, capture: Capture):
    old = (datetime.now(UTC) - timedelta(days=8)).isoformat()
    capture(event("bought", timestamp=old, properties={"$feature/f": "test"}))

    assert required(api)


@pytest.mark.parametrize("names", [[5, None, {}, [], True], [{"id": None}], [10**30]])
def test_names_that_name_nothing__count_as_none(api: Any, project: Project, names: list[Any], capture: Capture):
    capture(event("bought", properties={"$feature/f": "test"}))

    assert not required(api, events=names, actions=names)

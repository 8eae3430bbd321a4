"""A client library's way of asking: no credential but the project's token, no session."""

from typing import Any

import orjson
import pytest
from django.test import Client

from feature_flags.models import FeatureFlag
from projects.models import Project

EVERYBODY: dict[str, Any] = {"properties": [], "rollout_percentage": 100}
PRO: dict[str, Any] = {"key": "plan", "type": "person", "value": "pro", "operator": "exact"}
LAYOUTS = [
    {"key": "control", "rollout_percentage": 50},
    {"key": "compact", "rollout_percentage": 25},
    {"key": "spacious", "rollout_percentage": 25},
]


class Sdk:
    """Asks the flags of one project."""

    def __init__(self, project: Project) -> None:
        self.token = project.api_token
        self.client = Client()

    def post(self, path: str = "/flags/?v=2", body: Any = None, **headers: str) -> Any:
        sent = body if isinstance(body, bytes) else orjson.dumps(body)
        return self.client.post(
            path, sent, content_type=headers.pop("content_type", "application/json"), headers=headers
        )

    def ask(self, path: str = "/flags/?v=2", *, headers: Any = None, **body: Any) -> Any:
        """The answer to a request that must succeed."""
        answer = self.post(path, {"token": self.token, "distinct_id": "user-61"} | body, **(headers or {}))
        assert answer.status_code == 200, answer.content
        return answer.json()

    def values(self, **body: Any) -> dict[str, Any]:
        """The values of all flags in the answer."""
        return {key: record["value"] for key, record in self.ask("/flags/?v=4", **body)["flags"].items()}


@pytest.fixture
def sdk(project: Project) -> Sdk:
    return Sdk(project)


@pytest.fixture
def stored_flag(project: Project) -> Any:
    """Makes a flag row, for everybody unless told otherwise, as no door would check it."""

    def make(key: str = "beta", *, groups: Any = None, active: bool = True, **columns: Any) -> FeatureFlag:
        filters = columns.pop("filters", None)
        if filters is None:
            names = ("multivariate", "payloads", "holdout", "feature_enrollment")
            filters = {"groups": [EVERYBODY] if groups is None else groups}
            filters |= {name: columns.pop(name) for name in names if name in columns}
        return FeatureFlag.objects.create(project=project, key=key, filters=filters, active=active, **columns)

    return make

"""The stage of these tests: experiments over HTTP, brought into any state, at a time that the test sets."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from activity.models import ActivityEntry
from projects.models import Project

# Asserts with operands, as in the tests themselves.
pytest.register_assert_rewrite("tests.experiments.lifecycle.machine", "tests.experiments.lifecycle.approvals")

Shown = dict[str, Any]


class Clock:
    """The time as the service sees it; it stands still until it is set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def set(self, text: str) -> None:
        self.now = datetime.fromisoformat(text)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timezone, "now", clock)
    return clock


class Experiments:
    """A caller of the experiment and flag routes of one project."""

    def __init__(self, client: APIClient, project: Project) -> None:
        self.client = client
        self.project = project
        self.base = f"/api/projects/{project.pk}"

    def url(self, experiment: Shown | int, act: str = "") -> str:
        pk = experiment if isinstance(experiment, int) else experiment["id"]
        return f"{self.base}/experiments/{pk}/" + (f"{act}/" if act else "")

    def post(self, **body: Any) -> Any:
        return self.client.post(f"{self.base}/experiments/", {"name": "Cart", "feature_flag_key": "cart"} | body)

    def made(self, **body: Any) -> Shown:
        """The answer of a creation that must succeed."""
        return self.succeeded(self.post(**body), status=201)

    def get(self, experiment: Shown | int) -> Any:
        return self.client.get(self.url(experiment))

    def shown(self, experiment: Shown | int) -> Shown:
        return self.succeeded(self.get(experiment))

    def patch(self, experiment: Shown | int, body: Shown, **headers: str) -> Any:
        return self.client.patch(self.url(experiment), body, headers=headers)

    def patched(self, experiment: Shown | int, **body: Any) -> Shown:
        """The answer of a PATCH that must succeed."""
        return self.succeeded(self.patch(experiment, body))

    def act(self, experiment: Shown | int, name: str, **body: Any) -> Any:
        return self.client.post(self.url(experiment, name), body)

    def acted(self, experiment: Shown | int, name: str, **body: Any) -> Shown:
        """The answer of an act that must succeed."""
        return self.succeeded(self.act(experiment, name, **body))

    def flag_url(self, flag_id: int) -> str:
        return f"{self.base}/feature_flags/{flag_id}/"

    def flag(self, experiment: Shown) -> Shown:
        return self.succeeded(self.client.get(self.flag_url(experiment["feature_flag"]["id"])))

    def made_flag(self, **body: Any) -> Shown:
        return self.succeeded(self.client.post(f"{self.base}/feature_flags/", body), status=201)

    def patch_flag(self, experiment: Shown, **body: Any) -> Any:
        return self.client.patch(self.flag_url(experiment["feature_flag"]["id"]), body)

    def patched_flag(self, experiment: Shown, **body: Any) -> Shown:
        return self.succeeded(self.patch_flag(experiment, **body))

    def bring_to(self, state: str, clock: Clock, **body: Any) -> Shown:
        """A new experiment in `state`, its way there spread over January 2026; it is the 25th afterwards."""
        experiment = self.made(**body)
        ways = {"draft": [], "running": ["launch"], "paused": ["launch", "pause"], "stopped": ["launch", "end"]}
        ways["archived"] = [*ways["stopped"], "archive"]
        days = {"launch": 10, "pause": 11, "end": 20, "archive": 21}
        for act in ways[state]:
            clock.set(f"2026-01-{days[act]}T00:00:00+00:00")
            conclusion = {"conclusion": "won", "conclusion_comment": "Clearly."} if act == "end" else {}
            experiment = self.acted(experiment, act, **conclusion)
        clock.set("2026-01-25T00:00:00+00:00")
        return experiment

    def log(self) -> list[Shown]:
        """The activity rows of the project, oldest first: what was done to what, and by which trigger."""
        rows = ActivityEntry.objects.filter(project=self.project).order_by("created_at")
        return [
            {
                "id": row.pk,
                "scope": row.scope,
                "item_id": row.item_id,
                "activity": row.activity,
                "changes": row.detail["changes"],
                "trigger": row.detail["trigger"],
                "user": row.user_id,
            }
            for row in rows
        ]

    @staticmethod
    def succeeded(answer: Any, status: int = 200) -> Shown:
        assert answer.status_code == status, answer.content
        shown: Shown = answer.json()
        return shown


@pytest.fixture
def experiments(api: APIClient, project: Project) -> Experiments:
    return Experiments(api, project)

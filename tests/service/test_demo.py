"""`manage.py demo`: a running experiment with its visitors, once."""

import io
import json
import re
from collections import Counter
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from approvals.models import ApprovalPolicy
from events.models import Event, Person
from experiments.lifecycle import State, state_of
from experiments.models import Experiment
from experiments_service import first_start
from experiments_service.demo import experiment as demo
from experiments_service.demo import shop
from experiments_service.progress import Progress
from projects.models import Project, User
from tests import live_service
from tests.live_service import LiveService

MONDAY = datetime(2026, 3, 2, 8, tzinfo=UTC)
UNTIL = datetime(2026, 3, 18, 12, tzinfo=UTC)


def made(visitors: int = 300) -> list[Any]:
    return list(chain.from_iterable(shop.events(visitors=visitors, start=MONDAY, until=UNTIL)))


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    call_command("demo", "--visitors", "150", *words)
    return capsys.readouterr().out


# --- The shop --------------------------------------------------------------------------------------------------


def test_shop__events__are_the_same_each_time() -> None:
    assert made() == made()


def test_shop__events__end_before_the_present_and_have_a_past() -> None:
    times = [event.timestamp for event in made()]
    assert max(times) < UNTIL
    assert min(times) < MONDAY


def test_shop__flag_calls__begin_with_the_experiment_and_agree_per_visitor() -> None:
    calls = [event for event in made() if event.event == "$feature_flag_called"]
    answers = {(event.distinct_id, event.properties["$feature_flag_response"]) for event in calls}
    assert min(event.timestamp for event in calls) >= MONDAY
    assert len(answers) == len({distinct_id for distinct_id, _ in answers})
    assert {variant for _, variant in answers} == set(shop.VARIANTS)


def test_shop__visitors__differ() -> None:
    numbers = Counter(event.distinct_id for event in made())
    assert min(numbers.values()) < 5
    assert max(numbers.values()) > 40


def test_shop__weekends__are_quieter() -> None:
    first_week = [event for event in made(1500) if MONDAY <= event.timestamp < MONDAY.replace(day=9)]
    days = Counter(event.timestamp.weekday() for event in first_week)
    assert (days[5] + days[6]) / 2 < 0.85 * (days[1] + days[2] + days[3] + days[4]) / 4


# --- The command -----------------------------------------------------------------------------------------------


def test_demo__first_run__makes_a_running_experiment_and_tells_its_page(
    project: Project, owner: User, capsys: pytest.CaptureFixture[str]
) -> None:
    told = run(capsys)
    experiment = Experiment.objects.get(project=project)
    assert state_of(experiment) is State.RUNNING
    assert experiment.created_by == owner
    assert experiment.start_date is not None
    assert 14 <= (timezone.now() - experiment.start_date).days <= 21
    assert experiment.start_date.weekday() == 0
    assert {metric["metric_type"] for metric in (*experiment.metrics, *experiment.metrics_secondary)} == {
        "mean",
        "funnel",
        "ratio",
        "retention",
    }
    assert told.endswith(f"\n  http://127.0.0.1:8000/projects/{project.pk}/experiments/{experiment.pk}/\n")
    assert 100 < Person.objects.filter(project=project).count() <= 150
    assert Event.objects.filter(project=project, event="purchase").exists()


def test_demo__second_run__adds_nothing_and_says_so(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys)
    experiment, events = Experiment.objects.get(), Event.objects.count()
    again = run(capsys)
    assert again.startswith("The demo is there already; nothing was added.")
    assert again.endswith(f"/projects/{project.pk}/experiments/{experiment.pk}/\n")
    assert (Experiment.objects.count(), Event.objects.count()) == (1, events)


def test_demo__interrupted_run__is_completed_without_storing_anything_twice(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "BATCH_SIZE", 500)
    now = timezone.now()
    start = demo.started_at(now, project)
    assert len(list(islice(demo.fill(project=project, visitors=150, start=start, until=now), 1))) == 1
    assert Event.objects.exists()
    assert not Experiment.objects.exists()
    run(capsys)
    shop_events = list(chain.from_iterable(shop.events(visitors=150, start=start, until=timezone.now())))
    assert Event.objects.count() == len(shop_events)


def test_demo__variants__are_those_that_the_flag_serves(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys)
    for distinct_id in ("demo-visitor-00001", "demo-visitor-00007", "demo-visitor-00042"):
        body = {"token": project.api_token, "distinct_id": distinct_id}
        answer = Client().post("/flags/?v=2", body, content_type="application/json").json()
        assert answer["flags"][shop.FLAG_KEY]["variant"] == shop.variant_of(distinct_id)


def test_demo__project_named__fills_that_one(
    project: Project, outsider: User, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = outsider.current_project
    assert foreign is not None
    run(capsys, "--project", str(foreign.pk))
    assert Experiment.objects.get().project == foreign
    assert not Event.objects.filter(project=project).exists()


def test_demo__deleted_before__is_not_made_again(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys)
    Experiment.objects.update(deleted=True)
    with pytest.raises(CommandError, match="The demo of this project has been deleted"):
        run(capsys)
    assert Experiment.objects.count() == 1


def test_demo__approvals_required__says_so(project: Project, owner: User, capsys: pytest.CaptureFixture[str]) -> None:
    ApprovalPolicy.objects.create(
        project=project,
        organization=project.organization,
        action_key="feature_flag.enable",
        approver_config={"quorum": 1, "users": [owner.pk]},
        created_by=owner,
    )
    with pytest.raises(CommandError, match="The experiment could not be made: "):
        run(capsys)
    assert not Experiment.objects.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--project", "999999"], "There is no project 999999."),
        (["--project", "-1"], "There is no project -1."),
        (["--visitors", "0"], "A shop has 1 to 1000000 visitors."),
    ],
)
def test_demo__bad_word__is_refused_and_stores_nothing(project: Project, words: list[str], message: str) -> None:
    with pytest.raises(CommandError) as refusal:
        call_command("demo", *words)
    assert str(refusal.value) == message
    assert not Event.objects.exists()


def test_demo__credentials_in_the_data_directory__say_which_project_and_where(
    project: Project, outsider: User, data_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = outsider.current_project
    assert foreign is not None
    first_start.write(
        {"base_url": "http://127.0.0.1:9999", "project_id": foreign.pk}, path=data_directory / first_start.FILE_NAME
    )
    told = run(capsys)
    experiment = Experiment.objects.get()
    assert experiment.project == foreign
    assert told.endswith(f"\n  http://127.0.0.1:9999/projects/{foreign.pk}/experiments/{experiment.pk}/\n")


@pytest.mark.django_db
def test_demo__no_project__names_the_way_to_one() -> None:
    with pytest.raises(CommandError, match="There is no project yet"):
        call_command("demo")


def test_shop__later_end__only_adds() -> None:
    earlier = [event for event in made() if event.timestamp < UNTIL.replace(day=12)]
    shorter = shop.events(visitors=300, start=MONDAY, until=UNTIL.replace(day=12))
    assert list(chain.from_iterable(shorter)) == earlier


@pytest.mark.slow
def test_demo__default_size__shows_what_was_put_in_and_nothing_else(
    api: APIClient, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("demo")
    assert Event.objects.count() > 250_000
    url = f"/api/projects/{project.pk}/experiments/{Experiment.objects.get().pk}/results/"
    found = {
        (metric["name"], treatment["key"]): treatment["favourable"]
        for metric in api.get(url).json()["metrics"]
        for treatment in metric["result"]["variant_results"]
    }
    assert {place: verdict for place, verdict in found.items() if verdict is not None} == {
        ("Checkout completed", "test"): True,
        ("Checkout completed", "test-wallet"): True,
        ("Revenue per visitor", "test"): True,
        ("Revenue per visitor", "test-wallet"): True,
        ("Failed payments per visitor", "test-wallet"): False,
    }


def test_demo__service_running__shows_results_at_once(service: LiveService) -> None:
    projects = f"{service.base_url}/api/organizations/@current/projects/"
    other = httpx.post(projects, headers=service.headers, json={"name": "For the demo alone"}).json()["id"]
    words = ("--visitors", "600", "--project", str(other))
    told = live_service.manage("demo", *words, data_dir=service.data_dir)
    assert told.returncode == 0, told.stderr
    found = re.search(rf"{service.base_url}/projects/(\d+)/experiments/(\d+)/\n$", told.stdout)
    assert found is not None
    url = f"{service.base_url}/api/projects/{found[1]}/experiments/{found[2]}/results/"
    results = json.loads(httpx.get(url, headers=service.headers, timeout=60).content)
    assert set(results["exposures"]["total_exposures"]) == set(shop.VARIANTS)
    assert [metric["error"] for metric in results["metrics"]] == [None] * len(results["metrics"])
    assert results["health"] == [] or {finding["code"] for finding in results["health"]} == {"low_power"}


# --- Progress --------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress__terminal__shows_a_bar() -> None:
    stream = Terminal()
    progress = Progress(stream, name="Demo", noun="visitors")
    progress.show(50, part=0.5)
    progress.end()
    assert re.search(r"^\r\[#{15}\.{15}\] Demo: 50 visitors, \d+ visitors/s, \d+ s left", stream.getvalue())
    assert stream.getvalue().endswith("\n")


def test_progress__no_terminal__writes_nothing() -> None:
    stream = io.StringIO()
    progress = Progress(stream, name="Demo", noun="visitors")
    progress.show(50, part=0.5)
    progress.end()
    assert stream.getvalue() == ""

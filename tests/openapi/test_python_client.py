"""A Python client generated from the document, unmodified, works with the running service."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings

from tests.live_service import LiveService

DOCUMENT = Path(settings.BASE_DIR) / "openapi.yaml"
PACKAGE = "generated_experiments_client"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of the generated package, importable while the tests of this module run."""
    directory = tmp_path_factory.mktemp("python-client")
    configuration = directory / "configuration.yaml"
    configuration.write_text("post_hooks: []\n")  # no formatting: nobody reads it
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", "--meta", "none"),
            *("--path", str(DOCUMENT), "--output-path", str(directory / PACKAGE), "--config", str(configuration)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    sys.path.insert(0, str(directory))
    yield PACKAGE
    sys.path.remove(str(directory))
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]


class Caller:
    """The generated client of one project of the running service."""

    def __init__(self, package: str, service: LiveService) -> None:
        self.package = package
        self.models: Any = importlib.import_module(f"{package}.models")
        client = importlib.import_module(f"{package}.client")
        self.client: Any = client.AuthenticatedClient(
            base_url=service.base_url, token=service.credentials["personal_api_key"]
        )
        self.project = str(service.credentials["project_id"])

    def call(self, operation_id: str, *path: Any, tag: str | None = None, **arguments: Any) -> Any:
        """The whole answer of an operation: its status, and its body as the generated classes read it."""
        tag = tag or next(
            name for name in ("experiments", "feature_flags", "projects") if operation_id.startswith(name)
        )
        module = importlib.import_module(f"{self.package}.api.{tag}.{operation_id}")
        return module.sync_detailed(*path, client=self.client, **arguments)

    def in_project(self, operation_id: str, *path: Any, **arguments: Any) -> Any:
        return self.call(operation_id, self.project, *path, **arguments)


@pytest.fixture
def caller(package: str, service: LiveService) -> Iterator[Caller]:
    caller = Caller(package, service)
    with caller.client:
        yield caller


def test_projects__list__the_first_project_is_there(caller: Caller) -> None:
    answer = caller.call("projects_list")

    assert answer.status_code == HTTPStatus.OK
    assert caller.project in {str(project.id) for project in answer.parsed.results}


def test_flag__created_changed_and_read__comes_back_as_its_class(caller: Caller) -> None:
    key = f"client-{uuid4().hex}"
    body = caller.models.FeatureFlagCreate.from_dict(
        {"key": key, "filters": {"groups": [{"properties": [], "rollout_percentage": 25}]}}
    )
    made = caller.in_project("feature_flags_create", body=body)
    changed = caller.in_project(
        "feature_flags_partial_update", made.parsed.id, body=caller.models.PatchedFeatureFlag(name="A name")
    )
    read = caller.in_project("feature_flags_retrieve", made.parsed.id)

    assert (made.status_code, changed.status_code, read.status_code) == (201, 200, 200)
    assert isinstance(read.parsed, caller.models.FeatureFlag)
    assert (read.parsed.key, read.parsed.name) == (key, "A name")
    assert read.parsed.filters.groups[0].rollout_percentage == 25
    assert read.parsed.version == 2


def test_experiment__from_draft_to_conclusion(caller: Caller) -> None:
    models = caller.models
    body = models.ExperimentCreate(
        name="Blue button",
        feature_flag_key=f"client-{uuid4().hex}",
        metrics=[
            models.MeanMetric.from_dict(
                {
                    "kind": "ExperimentMetric",
                    "metric_type": "mean",
                    "goal": "increase",
                    "source": {"kind": "EventsNode", "event": "$pageview"},
                }
            )
        ],
    )
    made = caller.in_project("experiments_create", body=body)
    assert made.status_code == 201, made.content
    number = made.parsed.id
    changed = caller.in_project(
        "experiments_partial_update",
        number,
        body=models.PatchedExperiment(description="Does blue sell better?"),
        if_match=made.headers["ETag"],
    )
    launched = caller.in_project("experiments_launch_create", number)
    ended = caller.in_project(
        "experiments_end_create", number, body=models.ExperimentEndRequest.from_dict({"conclusion": "won"})
    )
    read = caller.in_project("experiments_retrieve", number)
    listed = caller.in_project("experiments_list", search=body.feature_flag_key)

    assert made.parsed.status == "draft"
    assert made.parsed.conclusion is None
    assert made.parsed.feature_flag.filters.multivariate.variants[0].key == "control"
    assert isinstance(made.parsed.metrics[0], models.MeanMetric)
    assert changed.parsed.description == "Does blue sell better?"
    assert launched.parsed.status == "running"
    assert ended.parsed.status == "stopped"
    assert read.parsed.conclusion == "won"
    assert [found.id for found in listed.parsed.results] == [number]


def test_metric_of_each_kind__comes_back_as_its_class(caller: Caller) -> None:
    node: dict[str, Any] = {"kind": "EventsNode", "event": "purchase"}
    kinds: dict[str, dict[str, Any]] = {
        "MeanMetric": {"metric_type": "mean", "source": node},
        "FunnelMetric": {"metric_type": "funnel", "series": [node]},
        "RatioMetric": {"metric_type": "ratio", "numerator": node, "denominator": node},
        "RetentionMetric": {
            "metric_type": "retention",
            "start_event": node,
            "completion_event": node,
            "retention_window_start": 0,
            "retention_window_end": 7,
            "retention_window_unit": "day",
            "start_handling": "first_seen",
        },
    }
    sent = [
        getattr(caller.models, name).from_dict({"kind": "ExperimentMetric", **fields}) for name, fields in kinds.items()
    ]
    made = caller.in_project(
        "experiments_create",
        body=caller.models.ExperimentCreate(name="Kinds", feature_flag_key=f"client-{uuid4().hex}", metrics=sent),
    )

    assert made.status_code == 201, made.content
    assert [type(metric).__name__ for metric in made.parsed.metrics] == list(kinds)


def test_refusal__is_read_as_error(caller: Caller) -> None:
    answer = caller.in_project("experiments_retrieve", 2**40)

    assert answer.status_code == HTTPStatus.NOT_FOUND
    assert isinstance(answer.parsed, caller.models.Error)
    assert (answer.parsed.code, answer.parsed.attr) == ("not_found", None)


def test_stale_change__is_read_as_error_and_changes_nothing(caller: Caller) -> None:
    made = caller.in_project(
        "experiments_create",
        body=caller.models.ExperimentCreate(name="First name", feature_flag_key=f"client-{uuid4().hex}"),
    )
    answer = caller.in_project(
        "experiments_partial_update",
        made.parsed.id,
        body=caller.models.PatchedExperiment(name="Second name"),
        if_match='"another version"',
    )

    assert answer.status_code == HTTPStatus.PRECONDITION_FAILED
    assert answer.parsed.code == "precondition_failed"
    assert caller.in_project("experiments_retrieve", made.parsed.id).parsed.name == "First name"

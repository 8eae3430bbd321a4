"""A shop on the running service, and the programs that ask it. Nothing here is patched, mocked or recorded."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.feature_flags.evaluation.cases import HASH
from tests.live_service import LiveService

HERE = Path(__file__).parent
NODE = HERE / "node"
SERIES = HASH["series"]
EVERYBODY: dict[str, Any] = {"properties": [], "rollout_percentage": 100}
LAYOUTS = [
    {"key": "control", "rollout_percentage": 50},
    {"key": "compact", "rollout_percentage": 25},
    {"key": "spacious", "rollout_percentage": 25},
]


@dataclass
class Shop:
    """A project with flags, made over REST, and its keys."""

    service: LiveService
    project_id: int
    token: str
    secret: str
    flag_ids: dict[str, int] = field(default_factory=dict)
    holdout_id: int = 0
    experiment_id: int = 0

    @property
    def personal_key(self) -> str:
        key: str = self.service.credentials["personal_api_key"]
        return key

    @property
    def base_url(self) -> str:
        return self.service.base_url

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        answer = httpx.request(
            method,
            f"{self.base_url}/api/projects/{self.project_id}/{path}",
            json=body,
            params=query,
            headers=self.service.headers,
        )
        assert answer.is_success, answer.text
        return answer.json()

    def flag(self, key: str, *groups: Any, filters: Any = None, **columns: Any) -> None:
        body = {"key": key, "filters": {"groups": list(groups)} | (filters or {})} | columns
        self.flag_ids[key] = self.call("POST", "feature_flags/", body)["id"]

    def exposures(self) -> dict[str, int]:
        """How many persons were exposed to each variant of the experiment."""
        answer = self.call("GET", f"experiments/{self.experiment_id}/exposures/", refresh="true")
        return {variant: count for variant, count in answer["total_exposures"].items() if count}

    def exposed_persons(self) -> list[set[str]]:
        """The distinct ids of each person in the experiment's exposure cohort, which is made now."""
        path = f"experiments/{self.experiment_id}/create_exposure_cohort_for_experiment/"
        cohort = self.call("POST", path, {})["cohort"]
        deadline = time.monotonic() + 60
        while cohort["is_calculating"]:
            assert time.monotonic() < deadline, cohort
            time.sleep(0.2)
            cohort = self.call("GET", f"cohorts/{cohort['id']}/")
        persons = self.call("GET", f"cohorts/{cohort['id']}/persons/")["results"]
        return sorted((set(person["distinct_ids"]) for person in persons), key=sorted)

    def statuses_of(self, route: str) -> list[int]:
        """The statuses of this project's requests to a route so far, by the service's own log."""
        lines = (json.loads(line) for line in self.service.output.splitlines() if line.startswith("{"))
        return [
            line["status"]
            for line in lines
            if line.get("message") == "request" and line["route"] == route and line["project"] == self.project_id
        ]


@pytest.fixture(scope="session")
def shop(service: LiveService) -> Shop:
    return open_shop(service)


@pytest.fixture
def own_shop(service: LiveService) -> Shop:
    """A shop for a test that changes it."""
    return open_shop(service)


def open_shop(service: LiveService) -> Shop:
    organization = service.credentials["organization_id"]
    made = httpx.post(
        f"{service.base_url}/api/organizations/{organization}/projects/", json={"name": "Shop"}, headers=service.headers
    ).json()
    shop = Shop(service, made["id"], made["api_token"], made["secret_api_token"])
    identify = {"$group_type": "company", "$group_key": "org-9", "$group_set": {"tier": "gold"}}
    event = {"event": "$groupidentify", "distinct_id": "setup", "properties": identify}
    sent = httpx.post(f"{service.base_url}/batch/", json={"api_key": shop.token, "batch": [event]})
    assert sent.status_code == 200, sent.text
    enterprise = {"key": "plan", "type": "person", "value": "enterprise", "operator": "exact"}
    shop.flag("beta-search-rollout", EVERYBODY | {"rollout_percentage": 25.5})
    shop.flag(
        "checkout-layout",
        {"properties": [enterprise], "rollout_percentage": 100, "variant": "spacious"},
        EVERYBODY,
        filters={"multivariate": {"variants": LAYOUTS}, "payloads": {"compact": '{"density": "compact"}'}},
    )
    shop.flag("org-dashboard", EVERYBODY | {"rollout_percentage": 60}, filters={"aggregation_group_type_index": 0})
    needs = {"key": str(shop.flag_ids["checkout-layout"]), "type": "flag", "value": True}
    shop.flag("needs-layout", {"properties": [needs | {"operator": "flag_evaluates_to"}], "rollout_percentage": 100})
    for series in SERIES:
        variants = {"multivariate": {"variants": series["variants"]}} if series["variants"] else {}
        shop.flag(
            series["flag_key"], EVERYBODY | {"rollout_percentage": series["rollout_percentage"]}, filters=variants
        )
    shop.flag("off-flag", EVERYBODY, active=False)
    shop.flag("my-config", EVERYBODY, filters={"payloads": {"true": '{"a":1}'}}, is_remote_configuration=True)
    launch_experiment(shop)
    return shop


def launch_experiment(shop: Shop) -> None:
    holdout = shop.call(
        "POST",
        "experiment_holdouts/",
        {"name": "Ten percent", "filters": [{"properties": [], "rollout_percentage": 10}]},
    )
    shop.holdout_id = holdout["id"]
    experiment = shop.call(
        "POST",
        "experiments/",
        {"name": "Checkout", "feature_flag_key": "checkout-experiment", "holdout_id": holdout["id"]},
    )
    shop.call("POST", f"experiments/{experiment['id']}/launch/", {})
    shop.experiment_id = experiment["id"]
    shop.flag_ids["checkout-experiment"] = experiment["feature_flag"]["id"]


Observations = list[dict[str, Any]]


@dataclass(frozen=True)
class Program:
    """A client library in a process of its own."""

    name: str
    command: tuple[str, ...]
    directory: Path

    def run(self, shop: Shop, *arguments: Any, secret: str | None = None) -> Observations:
        """What the program sees of the shop; it must end well and print nothing else."""
        finished = subprocess.run(
            [*self.command, *(one if isinstance(one, str) else json.dumps(one) for one in arguments)],
            cwd=self.directory,
            env=os.environ | {"HOST": shop.base_url, "TOKEN": shop.token, "SECRET": secret or shop.secret},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert finished.returncode == 0, finished.stderr
        return [json.loads(line) for line in finished.stdout.splitlines()]

    def sees(self, shop: Shop, *arguments: Any, secret: str | None = None) -> dict[str, Any]:
        """The same by name of the observation."""
        return {seen.pop("name"): seen for seen in self.run(shop, *arguments, secret=secret)}


def python_program(name: str) -> Program:
    return Program("python", (sys.executable, "-W", "ignore", str(HERE / name)), HERE)


@pytest.fixture(scope="session")
def node_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """posthog-node and posthog-js as their lock file says, installed apart from the sources."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        reason = "Node is not installed: posthog-node and posthog-js were not tried."
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    directory = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json", ".npmrc", "client.mjs"):
        shutil.copy(NODE / name, directory)
    installed = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-progress"], cwd=directory, capture_output=True, text=True, check=False
    )
    assert installed.returncode == 0, installed.stderr
    return directory


@pytest.fixture(params=["python", "node"])
def program(request: pytest.FixtureRequest) -> Program:
    """posthog-python, then posthog-node."""
    if request.param == "python":
        return python_program("python_client.py")
    directory: Path = request.getfixturevalue("node_directory")
    return Program("node", ("node", "client.mjs"), directory)

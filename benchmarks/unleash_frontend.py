"""The same work done by Unleash: 100 flags for one person, asked over HTTP.

Not one of the default benchmarks: it needs Node 20 or newer, and installs `unleash-server` as the lock file beside it
says into `build/`. Unleash runs as one process on an embedded PostgreSQL of its own; flags, shares, conditions and
variants are those of `evaluate_flags` in its words, and its `/api/frontend` is asked as its browser client asks. It
answers the enabled flags alone, the service all of them with the reason for each.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import evaluate_flags
from benchmarks.harness import ROOT, Comparison, Service, ask, free_port, requests_per_second, spread
from experiments_service import embedded_postgres

AIM = 4.0
START_SECONDS = 120
SEES_CHANGES_SECONDS = 60
SOURCES = Path(__file__).parent / "unleash"
INSTALLED = ROOT / "build" / "unleash"
ADMIN, FRONTEND = "*:*.benchmark-admin", "default:development.benchmark-frontend"
PATH = "/api/frontend"
FEATURES = "/api/admin/projects/default/features"


@dataclass(frozen=True, slots=True)
class Unleash(Service):
    """A running Unleash; asks carry the key of a browser, posts that of an administrator."""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": self.credentials["key"]}


def run(running: Service, *, rounds: int, seconds: float) -> None:
    """Measure and print."""
    flags, body = evaluate_flags.prepare(running)
    with unleash() as other:
        for flag in flags:
            _make(other, flag)
        asking = replace(other, credentials={"key": FRONTEND})
        theirs = json.dumps(
            {
                "context": {
                    "userId": "user-61",
                    "properties": {name: str(value) for name, value in evaluate_flags.PERSON.items()},
                }
            }
        ).encode()
        ours_enabled = _enabled(ask(running, evaluate_flags.SERVICE, body))
        theirs_enabled = _when_it_knows(asking, theirs)
        measured = Comparison(service=[], floor=[])
        for number in range(rounds + 1):
            length = seconds if number else 1
            floor = requests_per_second(asking, PATH, seconds=length, clients=2, body=theirs)
            service = requests_per_second(running, evaluate_flags.SERVICE, seconds=length, clients=2, body=body)
            if number:
                measured.floor.append(floor)
                measured.service.append(service)
    print(f"{len(flags)} flags for one person, one process each, {rounds} rounds of {seconds:g} s in turns")
    print(f"  service  {spread(measured.service, '.0f')} requests/s, {ours_enabled} flags enabled, all told")
    print(f"  Unleash  {spread(measured.floor, '.0f')} requests/s, {theirs_enabled} flags enabled, these told")
    print(f"  ratio    {spread(measured.ratios, '.2f')}, aim: at least {AIM}")


@contextmanager
def unleash() -> Iterator[Unleash]:
    """Start Unleash on throw-away data. Raises RuntimeError when it cannot be installed or does not answer."""
    _install()
    with ExitStack() as stack:
        data_dir = Path(tempfile.mkdtemp(prefix="unleash-bench-"))
        stack.callback(shutil.rmtree, data_dir)
        database = stack.enter_context(embedded_postgres.running(data_dir))
        port = free_port()
        environment = {
            **os.environ,
            "DATABASE_URL": database.url,
            "DATABASE_SSL": "false",
            "HTTP_HOST": "127.0.0.1",
            "HTTP_PORT": str(port),
            "NODE_ENV": "production",
            "LOG_LEVEL": "error",
            "CHECK_VERSION": "false",
            "SEND_TELEMETRY": "false",
            "INIT_ADMIN_API_TOKENS": ADMIN,
            "INIT_FRONTEND_API_TOKENS": FRONTEND,
        }
        log = stack.enter_context((data_dir / "unleash.log").open("wb"))
        server = subprocess.Popen(
            ["node", "node_modules/unleash-server/dist/server.js"],
            cwd=INSTALLED,
            env=environment,
            stdout=log,
            stderr=log,
        )
        stack.callback(server.wait)
        stack.callback(server.terminate)
        started = Unleash(
            base_url=f"http://127.0.0.1:{port}",
            credentials={"key": ADMIN},
            database_url=database.url,
            web_pid=server.pid,
        )
        deadline = time.monotonic() + START_SECONDS
        while not _answers(started):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Unleash does not answer: {(data_dir / 'unleash.log').read_text()[-2000:]}")
            time.sleep(0.2)
        yield started


def _install() -> None:
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(SOURCES / name, INSTALLED)
    npm = ["npm", "ci", "--ignore-scripts", "--no-progress"]
    if subprocess.run(npm, cwd=INSTALLED, capture_output=True, check=False).returncode:
        raise RuntimeError("npm could not install Unleash.")


def _answers(started: Unleash) -> bool:
    try:
        ask(started, "/health", None)
    except OSError:
        return False
    return True


def _when_it_knows(asking: Unleash, body: bytes) -> int:
    """How many flags are enabled once Unleash, which reads them now and then, answers from all of them."""
    deadline = time.monotonic() + SEES_CHANGES_SECONDS
    count, since = -1, time.monotonic()
    while count < 1 or time.monotonic() < since + 5:
        found = len(json.loads(ask(asking, PATH, body))["toggles"])
        if found != count:
            count, since = found, time.monotonic()
        if time.monotonic() > deadline:
            raise RuntimeError(f"Unleash has {count} flags enabled, and does not come to rest.")
        time.sleep(0.5)
    return count


def _enabled(answer: bytes) -> int:
    return sum(flag["enabled"] for flag in json.loads(answer)["flags"].values())


# --- flags in the words of Unleash ---------------------------------------------------------------------------------

_OPERATORS = {"exact": "IN", "gte": "NUM_GTE", "icontains": "STR_CONTAINS"}


def _make(other: Unleash, flag: Mapping[str, Any]) -> None:
    key, filters = flag["key"], flag["filters"]
    other.post(FEATURES, {"name": key, "type": "release"})
    place = f"{FEATURES}/{key}/environments/development"
    shares = [] if "multivariate" not in filters else filters["multivariate"]["variants"]
    for group in filters["groups"]:
        chosen = [{"key": group["variant"], "rollout_percentage": 100}] if "variant" in group else shares
        other.post(
            f"{place}/strategies",
            {
                "name": "flexibleRollout",
                "parameters": {
                    "rollout": str(group.get("rollout_percentage", 100)),
                    "stickiness": "userId",
                    "groupId": key,
                },
                "constraints": [_constraint(condition) for condition in group["properties"]],
                "variants": [_variant(variant) for variant in chosen],
            },
        )
    other.post(f"{place}/on", {})


def _constraint(condition: Mapping[str, Any]) -> dict[str, Any]:
    operator, value = _OPERATORS[condition["operator"]], condition["value"]
    constraint: dict[str, Any] = {"contextName": condition["key"], "operator": operator}
    if operator == "NUM_GTE":
        return constraint | {"value": str(value)}
    return constraint | {"values": value if isinstance(value, list) else [value], "caseInsensitive": operator != "IN"}


def _variant(variant: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": variant["key"],
        "weight": variant["rollout_percentage"] * 10,
        "weightType": "variable",
        "stickiness": "userId",
    }

"""The production shape: docker-compose.yml, Dockerfile, and the settings of a service behind a TLS proxy."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
import yaml
from django.conf import settings
from psycopg import sql

from tests.live_service import ROOT, environment
from tests.service.processes import free_port
from tests.service.test_health import get_when_up

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ("migrate", "web", "worker")
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_compose__services__are_the_four_parts() -> None:
    assert set(SERVICES) == {"postgres", "migrate", "web", "worker"}


@pytest.mark.parametrize("name", ["postgres", "web", "worker"])
def test_compose__lasting_service__has_a_health_check_and_restarts(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_compose__migrations__run_once_before_web_and_worker() -> None:
    assert SERVICES["migrate"]["restart"] == "no"
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("web", "worker"):
        assert SERVICES[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}


@pytest.mark.parametrize("name", OURS)
def test_compose__environment__demands_each_secret_and_holds_none(name: str) -> None:
    variables = SERVICES[name]["environment"]
    assert variables["SECRET_KEY"].startswith("${SECRET_KEY:?")
    assert ":${POSTGRES_PASSWORD:?" in variables["DATABASE_URL"]
    assert "DEBUG" not in variables


@pytest.mark.parametrize("name", OURS)
def test_compose__environment__throttles_unless_told_otherwise(name: str) -> None:
    assert SERVICES[name]["environment"]["THROTTLING_ENABLED"] == "${THROTTLING_ENABLED:-true}"


@pytest.mark.parametrize("name", OURS)
def test_compose__our_containers__are_confined(name: str) -> None:
    assert SERVICES[name]["read_only"] is True
    assert SERVICES[name]["cap_drop"] == ["ALL"]


def test_compose__postgres__is_not_reachable_from_outside_and_keeps_its_data() -> None:
    assert "ports" not in SERVICES["postgres"]
    (volume,) = SERVICES["postgres"]["volumes"]
    assert volume.partition(":")[0] in COMPOSE["volumes"]


def test_dockerfile__processes__do_not_run_as_root() -> None:
    instructions = re.findall(r"^(USER|CMD|RUN) (.*)$", DOCKERFILE, re.MULTILINE)
    assert [word for name, word in instructions if name == "USER"] == ["experiments"]
    assert instructions.index(("USER", "experiments")) > max(
        position for position, (name, _) in enumerate(instructions) if name == "RUN"
    )


def test_dockerfile__packages__are_the_locked_ones() -> None:
    assert "--require-hashes --requirement requirements.lock" in DOCKERFILE


def test_dockerfile__default_command__is_that_of_the_web_service() -> None:
    (command,) = re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)
    assert json.loads(command) == SERVICES["web"]["command"]


def test_settings__behind_a_tls_proxy__pass_every_security_check() -> None:
    checked = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--tag", "security", "--fail-level", "WARNING"],
        cwd=ROOT,
        env=environment(BEHIND_TLS_PROXY="true", SECRET_KEY="k" * 25 + "abcdefghijklmnopqrstuvwxy"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_settings__debug__is_off_and_no_variable_turns_it_on() -> None:
    printed = subprocess.run(
        [sys.executable, "-c", "from django.conf import settings; print(settings.DEBUG)"],
        cwd=ROOT,
        env=environment(DEBUG="true", DJANGO_DEBUG="1", DJANGO_SETTINGS_MODULE="experiments_service.settings"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.strip() == "False"


def test_web__without_a_secret_key__refuses_to_start() -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "experiments_service.web"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "SECRET_KEY is not set." in refused.stderr


# --- The commands of docker-compose.yml, as processes -----------------------------------------------------------


def python(command: list[str], *more: str) -> list[str]:
    assert command[0] == "python"
    return [sys.executable, *command[1:], *more]


@pytest.fixture(scope="module")
def variables(database_url: str) -> Iterator[dict[str, str]]:
    """What docker-compose.yml sets, with a new database on the server of the test session."""
    name = f"production_{free_port()}"
    values = {key: re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value) for key, value in SERVICES["web"]["environment"].items()}
    values["DATABASE_URL"] = urlsplit(database_url)._replace(path=f"/{name}").geturl()
    values["SECRET_KEY"] = "k" * 50
    with psycopg.connect(database_url, autocommit=True) as maintenance:
        maintenance.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield environment(**values)
        maintenance.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def started(command: list[str], *, variables: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture(scope="module")
def migrated(variables: dict[str, str]) -> dict[str, str]:
    subprocess.run(python(SERVICES["migrate"]["command"]), cwd=ROOT, env=variables, check=True, capture_output=True)
    return variables


def test_compose__commands__migrate_serve_and_work(migrated: dict[str, str], tmp_path: Path) -> None:
    variables = migrated
    first = subprocess.run(
        [sys.executable, "manage.py", "bootstrap", "--json", "--data-dir", str(tmp_path)],
        cwd=ROOT,
        env=variables,
        check=True,
        capture_output=True,
    )
    port = str(free_port())
    web = python(SERVICES["web"]["command"], "--port", port)
    worker = python(SERVICES["worker"]["command"])
    with (
        started(web, variables=variables, log=tmp_path / "web.log"),
        started(worker, variables=variables, log=tmp_path / "worker.log") as working,
    ):
        base_url = f"http://127.0.0.1:{port}"
        assert get_when_up(f"{base_url}/_readyz").status_code == 200
        key = json.loads(first.stdout)["personal_api_key"]
        flags = httpx.get(f"{base_url}/api/projects/1/feature_flags/", headers={"Authorization": f"Bearer {key}"})
        assert (flags.status_code, flags.json()["count"]) == (200, 0)
        for name in ("web", "worker"):
            check = [word.replace(":8000", f":{port}") for word in SERVICES[name]["healthcheck"]["test"][1:]]
            healthy = subprocess.run(python(check), cwd=ROOT, env=variables, check=False, capture_output=True)
            assert healthy.returncode == 0, healthy.stderr
        assert working.poll() is None
    assert "Stopped worker" in (tmp_path / "worker.log").read_text()


@pytest.mark.parametrize("milliseconds", [0, 5, 20])
def test_worker__told_to_end_while_it_starts__ends(migrated: dict[str, str], milliseconds: int) -> None:
    with psycopg.connect(migrated["DATABASE_URL"], autocommit=True) as watching:
        # Clients only: the server's own vacuum workers come and go in this view too.
        others = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND backend_type = 'client backend' AND pid <> pg_backend_pid()"""
        deadline = time.monotonic() + 60
        while watching.execute(others).fetchone() != (0,) and time.monotonic() < deadline:
            time.sleep(0.01)  # Until the connections of earlier tests are gone.
        worker = subprocess.Popen(
            python(SERVICES["worker"]["command"]), cwd=ROOT, env=migrated, stderr=subprocess.DEVNULL
        )
        try:
            while watching.execute(others).fetchone() == (0,) and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(milliseconds / 1000)
            worker.terminate()
            assert worker.wait(timeout=30) == 0
        finally:
            worker.kill()
            worker.wait()


def test_settings__throttling__is_on_without_configuration() -> None:
    assert settings.THROTTLING_ENABLED

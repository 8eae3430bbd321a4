"""The suite gives the same verdict in every shell and in a checkout where a service has been started."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

from experiments_service import embedded_mode, first_start
from projects.models import Project
from tests.live_service import ROOT, environment

SHELL = {
    "ALLOWED_HOSTS": "experiments.example.com",
    "BEHIND_TLS_PROXY": "true",
    "DATA_DIR": "/srv/experiments",
    "EVENTS_RETENTION_MONTHS": "1",
    "EXPERIMENT_RESULTS_FRESH_SECONDS_OPEN": "0",
    "EXPERIMENT_RESULTS_STATEMENT_TIMEOUT_SECONDS": "1",
    "LOG_LEVEL": "CRITICAL",
    "PGOPTIONS": "-c statement_timeout=1",
    "SECRET_KEY": "s" * 50,
    "THROTTLING_ENABLED": "false",
}
PRINT_SETTINGS = """
import json
from django.conf import settings
shown = {name: str(getattr(settings, name)) for name in dir(settings) if name.isupper() and name != "SECRET_KEY"}
print(json.dumps(shown))
"""


def settings_in(**shell: str) -> dict[str, str]:
    """The settings of the tests when a shell has set these variables."""
    printed = subprocess.run(
        [sys.executable, "-c", PRINT_SETTINGS],
        cwd=ROOT,
        env=environment(DJANGO_SETTINGS_MODULE="tests.settings", **shell),
        capture_output=True,
        text=True,
        check=True,
    )
    shown: dict[str, str] = json.loads(printed.stdout)
    shown.pop("SETTINGS_MODULE")
    return shown


def test_settings_of_the_tests__variables_in_the_shell__change_nothing() -> None:
    assert settings_in(**SHELL) == settings_in()


def test_variables__of_the_shell__are_gone_for_the_programs_that_tests_start() -> None:
    assert [name for name in environment() if name in SHELL] == ["DATA_DIR"]


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_services_of_the_tests__are_asked_without_a_proxy(name: str) -> None:
    assert os.environ[name].split(",")[:2] == ["127.0.0.1", "localhost"]


def test_command__without_a_data_directory__leaves_that_of_the_checkout_alone(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first_start.write({"project_id": 0}, path=Path(embedded_mode.DEFAULT_DATA_DIR) / first_start.FILE_NAME)
    call_command("demo", "--visitors", "1")


def test_data_directory__is_not_there_before_the_test(data_directory: Path) -> None:
    assert os.environ["DATA_DIR"] == str(data_directory)
    assert not data_directory.exists()

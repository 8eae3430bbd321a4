"""`manage.py serve`: what the first start makes, what the next one finds, what an end leaves behind."""

import os
import signal
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests import live_service
from tests.live_service import LiveService
from tests.service.processes import family, is_port_free, left_over, wait_for_sharers

CREDENTIALS = {
    "base_url",
    "organization_id",
    "project_id",
    "project_api_token",
    "project_secret_api_key",
    "personal_api_key",
    "email",
    "password",
}


def flags_url(service: LiveService) -> str:
    return f"{service.base_url}/api/projects/{service.credentials['project_id']}/feature_flags/"


def create_flag(service: LiveService, key: str) -> None:
    response = httpx.post(flags_url(service), headers=service.headers, json={"key": key})
    assert response.status_code == 201, response.text


def flag_keys(service: LiveService) -> list[str]:
    return [flag["key"] for flag in httpx.get(flags_url(service), headers=service.headers).json()["results"]]


def postgres_pid(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def socket_dir(data_dir: Path) -> Path:
    return Path((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[4])


def test_first_start__credentials_file__holds_the_documented_keys(service: LiveService) -> None:
    assert set(service.credentials) == CREDENTIALS
    assert all(service.credentials.values())


def test_first_start__credentials_file__is_for_its_owner_only(service: LiveService) -> None:
    assert (service.data_dir / "credentials.json").stat().st_mode & 0o777 == 0o600


def test_first_start__keys__are_of_their_kinds(service: LiveService) -> None:
    prefixes = {"personal_api_key": "phx_", "project_secret_api_key": "phs_", "project_api_token": "phc_"}
    assert {name: service.credentials[name][:4] for name in prefixes} == prefixes


@pytest.mark.parametrize("name", ["base_url", "personal_api_key", "project_api_token", "email", "password"])
def test_start__greeting__tells_what_to_use(service: LiveService, name: str) -> None:
    assert str(service.credentials[name]) in service.output


def test_start__browser__is_led_from_the_root(service: LiveService) -> None:
    page = httpx.get(service.base_url, headers={"Accept": "text/html"}, follow_redirects=True)
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("path", ["/api/schema/swagger-ui/", "/api/schema/redoc/"])
def test_api_docs__page__loads_nothing_from_elsewhere(service: LiveService, path: str) -> None:
    page = httpx.get(service.base_url + path, headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "https://" not in page.text


def test_second_start__after_sigterm__keeps_data_and_credentials(tmp_path: Path) -> None:
    with live_service.running(tmp_path / "data") as first:
        create_flag(first, "kept")
        assert first.stop(signal.SIGTERM) == 0
    began = time.monotonic()
    with live_service.running(tmp_path / "data") as second:
        seconds = time.monotonic() - began
        assert {**second.credentials, "base_url": ""} == {**first.credentials, "base_url": ""}
        assert flag_keys(second) == ["kept"]
    assert seconds < 15  # Two on an idle machine; a first start that migrates takes longer.


def test_sigint__running_service__leaves_nothing_behind(tmp_path: Path) -> None:
    with live_service.running(tmp_path / "data") as stopped:
        processes = family(stopped.process.pid) | family(postgres_pid(tmp_path / "data"))
        sockets = socket_dir(tmp_path / "data")
        assert stopped.stop(signal.SIGINT) == 0
        assert left_over(processes, within_seconds=0) == set()
    assert stopped.output.endswith("Stopped.\n")
    assert is_port_free(urlsplit(stopped.base_url).port or 0)
    assert not (tmp_path / "data" / "postgres" / "postmaster.pid").exists()
    assert not sockets.exists()


def test_kill__serve_process__takes_all_others_along_and_loses_nothing(tmp_path: Path) -> None:
    with live_service.running(tmp_path / "data") as killed:
        create_flag(killed, "acknowledged")
        # The command itself and the worker, which stops the server when the command no longer can.
        wait_for_sharers(tmp_path / "data" / "postgres.users", number=2)
        processes = family(killed.process.pid) | family(postgres_pid(tmp_path / "data"))
        killed.stop(signal.SIGKILL)
        assert left_over(processes) == set()
    with live_service.running(tmp_path / "data") as restarted:
        assert flag_keys(restarted) == ["acknowledged"]


def test_kill__postgres__ends_the_service_with_a_message_and_loses_nothing(tmp_path: Path) -> None:
    with live_service.running(tmp_path / "data") as crashed:
        create_flag(crashed, "acknowledged")
        processes = family(crashed.process.pid)
        os.kill(postgres_pid(tmp_path / "data"), signal.SIGKILL)
        assert crashed.process.wait(timeout=30) == 1
        assert left_over(processes) == set()
    assert "The embedded PostgreSQL ended unexpectedly." in crashed.output
    with live_service.running(tmp_path / "data") as restarted:
        assert flag_keys(restarted) == ["acknowledged"]


def test_second_serve__same_data_directory__is_refused_and_disturbs_nothing(service: LiveService) -> None:
    refused = live_service.manage("serve", "--port", "0", data_dir=service.data_dir)
    assert refused.returncode == 1
    assert f"{service.data_dir} is in use: process {service.process.pid} serves it already." in refused.stderr
    assert "Traceback" not in refused.stderr
    assert httpx.get(f"{service.base_url}/_readyz").status_code == 200


def test_serve__port_in_use__is_refused_by_name(service: LiveService, tmp_path: Path) -> None:
    port = str(urlsplit(service.base_url).port)
    refused = live_service.manage("serve", "--port", port, data_dir=tmp_path, DATABASE_URL="postgresql://unused/unused")
    assert refused.returncode == 1
    assert refused.stderr.strip() == (
        f"CommandError: Cannot listen on 127.0.0.1 port {port}: Address already in use. "
        "Choose others with --host and --port."
    )

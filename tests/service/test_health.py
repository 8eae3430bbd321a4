"""`/_livez` and `/_readyz`: whether the process answers, and whether it can work."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from rest_framework.test import APIClient

from tests.live_service import ROOT, environment
from tests.service.processes import free_port

OK = {"status": "ok"}
UNAVAILABLE = {"status": "unavailable"}


@pytest.fixture(scope="module")
def without_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a web server whose database cannot be reached."""
    nowhere: Path = tmp_path_factory.mktemp("nowhere")
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments_service.web", "--port", str(port)],
        cwd=ROOT,
        env=environment(DATABASE_URL=f"postgresql://user@/name?host={nowhere}", SECRET_KEY="s" * 50),
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=60)


def get_when_up(url: str) -> httpx.Response:
    deadline = time.monotonic() + 30
    while True:
        try:
            return httpx.get(url)
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_livez__database_unreachable__is_200(without_database: str) -> None:
    response = get_when_up(f"{without_database}/_livez")
    assert (response.status_code, response.json()) == (200, OK)


def test_readyz__database_unreachable__is_503(without_database: str) -> None:
    response = get_when_up(f"{without_database}/_readyz")
    assert (response.status_code, response.json()) == (503, UNAVAILABLE)


def test_api__database_unreachable__is_a_500_without_exception_text(without_database: str) -> None:
    get_when_up(f"{without_database}/_livez")
    response = httpx.get(f"{without_database}/api/projects/1/feature_flags/", headers={"Authorization": "Bearer phx_x"})
    assert response.status_code == 500
    assert response.json() == {
        "type": "server_error",
        "code": "error",
        "detail": "A server error occurred.",
        "attr": None,
    }


@pytest.mark.parametrize("path", ["/_livez", "/_readyz"])
def test_health__migrated_database__is_200_without_a_key(anonymous_api: APIClient, path: str) -> None:
    response = anonymous_api.get(path)
    assert (response.status_code, response.json()) == (200, OK)


def test_readyz__migration_missing__is_503(anonymous_api: APIClient) -> None:
    MigrationRecorder.Migration.objects.filter(app="projects").delete()
    response = anonymous_api.get("/_readyz")
    assert (response.status_code, response.json()) == (503, UNAVAILABLE)


def test_livez__migration_missing__is_200(anonymous_api: APIClient) -> None:
    MigrationRecorder.Migration.objects.filter(app="projects").delete()
    assert anonymous_api.get("/_livez").status_code == 200


@pytest.mark.parametrize("path", ["/_livez", "/_readyz"])
def test_health__other_verb__is_405_without_a_csrf_token(db: None, path: str) -> None:
    assert Client(enforce_csrf_checks=True).post(path).status_code == 405

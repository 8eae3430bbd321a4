"""What docs/how-to/backup-and-restore.md says of the data directory works: dump while running, restore into another."""

import re
import shutil
import subprocess
from pathlib import Path

import httpx

from experiments_service.postgres_binaries import program_directory
from tests import live_service
from tests.live_service import ROOT, LiveService

HOW_TO = (ROOT / "docs" / "how-to" / "backup-and-restore.md").read_text()


def options_of(program: str) -> list[str]:
    """The words after `--host ...` with which the document calls a program of the embedded PostgreSQL."""
    (line,) = re.findall(rf'^\$ "\$bin/{program}" --host "\$\(sed [^)]*\)" (.*)$', HOW_TO, re.MULTILINE)
    return str(line).split()


def run(program: str, service: LiveService, words: list[str]) -> bytes:
    host = (service.data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[4]
    command = [str(program_directory() / program), "--host", host, *words]
    return subprocess.run(command, check=True, capture_output=True).stdout


def flag_keys(service: LiveService) -> list[str]:
    answer = httpx.get(f"{service.base_url}/api/projects/1/feature_flags/", headers=service.headers)
    return [flag["key"] for flag in answer.json()["results"]]


def test_dump__restored_into_another_directory__has_data_and_keys(tmp_path: Path) -> None:
    with live_service.running(tmp_path / "first") as first:
        made = httpx.post(
            f"{first.base_url}/api/projects/1/feature_flags/", headers=first.headers, json={"key": "kept"}
        )
        assert made.status_code == 201
        *dump_words, arrow, _ = options_of("pg_dump")
        assert arrow == ">"
        dump = tmp_path / "experiments.dump"
        dump.write_bytes(run("pg_dump", first, dump_words))
    with live_service.running(tmp_path / "second") as second:
        *restore_words, name = options_of("pg_restore")
        assert name == dump.name
        run("pg_restore", second, [*restore_words, str(dump)])
    for name in ("secret_key", "credentials.json"):
        shutil.copy(tmp_path / "first" / name, tmp_path / "second" / name)
    with live_service.running(tmp_path / "second") as restored:
        assert restored.credentials["personal_api_key"] == first.credentials["personal_api_key"]
        assert flag_keys(restored) == ["kept"]

"""`manage.py import_events`: events from files, once, also after an interruption."""

import gzip
import io
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow
import pyarrow.parquet
import pytest
from django.core.management import CommandError, call_command

from events import ingestion
from events.models import Event, Group, ImportedFile
from projects.models import Project
from tests.capturing import overrides, person_of, stored

UUID_ = "0190b3e4-7c1e-7a51-9b1d-2f6d1c9a8e77"


def row(name: str = "bought", distinct_id: Any = "ada", **more: Any) -> dict[str, Any]:
    return {"event": name, "distinct_id": distinct_id, "timestamp": "2025-11-03T10:15:00Z", **more}


def lines(*rows: Any) -> bytes:
    return b"".join((one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in rows)


@pytest.fixture
def run(project: Project, capsys: pytest.CaptureFixture[str]) -> Any:
    """`run(path, ..., option=value)`: the last line that the command prints; problems are in `run.errors`."""

    def import_(*paths: Any, **options: Any) -> str:
        output, errors = io.StringIO(), io.StringIO()
        call_command("import_events", *map(str, paths), project=project.pk, stdout=output, stderr=errors, **options)
        import_.errors = errors.getvalue()  # type: ignore[attr-defined]  # told to the test
        return output.getvalue().strip()

    return import_


def test_json_lines__take_the_path_of_capture(run: Any, project: Project, tmp_path: Path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(
        lines(
            row("before", "anon-1"),
            b"",
            row("$identify", properties={"$anon_distinct_id": "anon-1"}, **{"$set": {"plan": "pro"}}),
            row("$groupidentify", "x", properties={"$group_type": "company", "$group_key": "acme"}),
            row(uuid=UUID_, properties={"amount": 42.5, "$groups": {"company": "acme"}}),
            row(distinct_id=5, timestamp="1999-01-01"),
        )
    )

    assert run(path) == "read 5, stored 5, duplicate 0, skipped 0"
    assert person_of(project, "anon-1").properties == {"plan": "pro"}
    assert len(overrides(project)) == 1
    assert Group.objects.get().group_key == "acme"
    bought = next(found for found in stored(project) if str(found.uuid) == UUID_)
    assert (bought.group_0, bought.timestamp) == ("acme", datetime(2025, 11, 3, 10, 15, tzinfo=UTC))
    assert project.event_definitions.count() == 4


@pytest.mark.parametrize("name", ["e.jsonl", "e.ndjson", "e.json", "e.JSONL.GZ", "e.json.gz"])
def test_file_names(run: Any, project: Project, tmp_path: Path, name: str):
    content = lines(row(), row("seen"))
    (tmp_path / name).write_bytes(gzip.compress(content) if name.lower().endswith(".gz") else content)

    assert run(tmp_path / name) == "read 2, stored 2, duplicate 0, skipped 0"


def test_finished_file__is_skipped_with_a_note(run: Any, project: Project, tmp_path: Path):
    path = tmp_path / "e.jsonl"
    path.write_bytes(lines(row(), row()))
    run(path)
    again = run(path).splitlines()

    assert again == [
        "e.jsonl: imported before; --restart imports it again.",
        "read 0, stored 0, duplicate 0, skipped 0",
    ]
    assert run(path, restart=True) == "read 2, stored 0, duplicate 2, skipped 0"
    assert len(stored(project)) == 2


def test_same_line_twice__is_two_events(run: Any, project: Project, tmp_path: Path):
    (tmp_path / "e.jsonl").write_bytes(lines(row(), row()))

    assert run(tmp_path / "e.jsonl").startswith("read 2, stored 2")


def test_interrupted__goes_on_behind_the_last_batch(run: Any, project: Project, tmp_path: Path):
    path = tmp_path / "e.jsonl"
    path.write_bytes(lines(*(row(str(number)) for number in range(10))))
    counting, store = iter(range(100)), ingestion.store

    def interrupted(**arguments: Any) -> Any:
        if next(counting) == 2:
            raise KeyboardInterrupt
        return store(**arguments)

    with patch("events.ingestion.store", interrupted), pytest.raises(KeyboardInterrupt):
        run(path, batch_size=3)
    assert sorted(found.event for found in stored(project)) == list("012345")

    assert run(path, batch_size=3) == "read 4, stored 4, duplicate 0, skipped 0"
    assert sorted(found.event for found in stored(project)) == list("0123456789")
    assert ImportedFile.objects.get().finished_at is not None


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{", "no JSON: "),
        (b"[]", "not an object"),
        (b'"\xff"', "no JSON: "),
        (row(properties=[]), "properties is not an object"),
        (row(name=""), "event submitted with an empty event name"),
        (row(distinct_id=""), "event submitted without a distinct_id"),
        (row(timestamp="yesterday"), "timestamp is not ISO 8601"),
        (row(timestamp=5), "timestamp is not ISO 8601"),
        (row(timestamp=(datetime.now(UTC) + timedelta(days=2)).isoformat()), "timestamp lies more than 23 hours ahead"),
        (row(uuid="x"), "uuid is none"),
        (row(uuid=5), "uuid is none"),
        (row(api_key="x"), "unknown key 'api_key'"),
        ({"event": "a", "distinct_id": "b"}, "timestamp is missing"),
        ({"event": "a", "timestamp": "2026-01-01"}, "distinct_id is missing"),
        (row(properties={"a": "x" * 1_100_000}), "the properties of an event have "),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "row",
)
def test_bad_row__stops_or_is_skipped(run: Any, project: Project, tmp_path: Path, bad: Any, reason: str):
    path = tmp_path / "e.jsonl"
    path.write_bytes(lines(row("1"), row("2"), row("3"), bad, row("5")))
    with pytest.raises(CommandError) as refusal:
        run(path, batch_size=2)

    assert str(refusal.value).startswith(f"e.jsonl, line 4: {reason}")
    # The batch before stays; of that with the bad row nothing is there.
    assert sorted(found.event for found in stored(project)) == ["1", "2"]
    assert run(path, batch_size=2, on_error="skip") == "read 3, stored 2, duplicate 0, skipped 1"
    assert run.errors.startswith(f"e.jsonl, line 4: {reason}")
    assert sorted(found.event for found in stored(project)) == ["1", "2", "3", "5"]


def test_line_of_many_megabytes__is_a_bad_row(run: Any, project: Project, tmp_path: Path):
    path = tmp_path / "e.jsonl"
    path.write_bytes(b'{"event": "' + b"a" * 20_000_000 + b'"}\n' + lines(row("next")))

    assert run(path, on_error="skip") == "read 2, stored 1, duplicate 0, skipped 1"
    assert "line 1: the line is longer than" in run.errors


def test_dry_run__stores_nothing(run: Any, project: Project, tmp_path: Path):
    path = tmp_path / "e.jsonl"
    path.write_bytes(lines(row(), b"{", row()))

    assert run(path, dry_run=True, on_error="skip") == "read 3, stored 0, duplicate 0, skipped 1"
    assert not Event.objects.filter(project=project).exists()
    assert not ImportedFile.objects.exists()


def test_expired_events__are_skipped_and_counted(run: Any, project: Project, tmp_path: Path, settings: Any):
    settings.EVENTS_RETENTION_MONTHS = 1
    path = tmp_path / "e.jsonl"
    path.write_bytes(lines(row(timestamp="2001-01-01"), row(timestamp=datetime.now(UTC).isoformat())))

    assert run(path) == "read 2, stored 1, duplicate 0, skipped 1"


def test_standard_input__several_files(run: Any, project: Project, tmp_path: Path, monkeypatch: Any):
    (tmp_path / "e.jsonl").write_bytes(lines(row("file")))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines(row("piped")))))

    assert run(tmp_path / "e.jsonl", "-") == "read 2, stored 2, duplicate 0, skipped 0"
    assert sorted(found.event for found in stored(project)) == ["file", "piped"]
    assert ImportedFile.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("e.csv", b"x", "files end in"),
        ("e.gz", b"x", "files end in"),
        ("e", b"x", "files end in"),
        ("e.jsonl.gz", b"x", "e.jsonl.gz: "),
        ("e.parquet", b"x", "e.parquet: "),
        ("missing.jsonl", None, "there is no such file"),
    ],
)
def test_unreadable_file__said_by_name(run: Any, tmp_path: Path, name: str, content: bytes | None, message: str):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CommandError, match=message):
        run(tmp_path / name)


def test_gzip_that_ends_early__keeps_what_was_read(run: Any, project: Project, tmp_path: Path):
    content = lines(*(row(str(number), properties={"n": number}) for number in range(5000)))
    (tmp_path / "e.jsonl.gz").write_bytes(gzip.compress(content)[:-2000])
    with pytest.raises(CommandError, match=r"e\.jsonl\.gz"):
        run(tmp_path / "e.jsonl.gz", batch_size=10)

    assert 0 < len(stored(project)) < 5000


def test_unknown_project__said(tmp_path: Path, db: None):
    with pytest.raises(CommandError, match="There is no project 7000000"):
        call_command("import_events", str(tmp_path / "e.jsonl"), project=7_000_000)


def parquet(path: Path, table: dict[str, Any]) -> Path:
    pyarrow.parquet.write_table(pyarrow.table(table), path)
    return path


def test_parquet__properties_as_struct(run: Any, project: Project, tmp_path: Path):
    time = datetime(2025, 11, 3, 10, 15, tzinfo=UTC)
    path = parquet(
        tmp_path / "e.parquet",
        {
            "event": ["a", "b"],
            "distinct_id": ["ada", "bob"],
            "timestamp": pyarrow.array([time, time], pyarrow.timestamp("us", "UTC")),
            "uuid": [UUID_, None],
            "properties": [{"n": 1.5, "list": [1, 2], "at": time}, {"n": None, "s": "x"}],
        },
    )

    assert run(path) == "read 2, stored 2, duplicate 0, skipped 0"
    found = {one.event: one for one in stored(project)}
    assert str(found["a"].uuid) == UUID_
    assert found["a"].timestamp == time
    assert found["a"].properties == {"n": 1.5, "list": [1, 2], "at": "2025-11-03T10:15:00+00:00"}
    assert found["b"].properties == {"s": "x"}
    assert run(path, restart=True) == "read 2, stored 0, duplicate 2, skipped 0"


def test_parquet__properties_as_text_and_map__times_as_text(run: Any, project: Project, tmp_path: Path):
    base = {"event": ["a"], "distinct_id": ["ada"], "timestamp": ["2025-11-03T10:15:00Z"]}
    run(parquet(tmp_path / "text.parquet", {**base, "properties": ['{"n": [true]}']}))
    pairs = pyarrow.array([[("n", 1), ("m", None)]], pyarrow.map_(pyarrow.string(), pyarrow.int64()))
    run(parquet(tmp_path / "map.parquet", {**base, "event": ["b"], "properties": pairs}))

    assert {one.event: one.properties for one in stored(project)} == {"a": {"n": [True]}, "b": {"n": 1}}


def test_parquet__bad_row(run: Any, project: Project, tmp_path: Path):
    base = {"event": ["a"], "distinct_id": ["ada"], "timestamp": ["2025-11-03T10:15:00Z"]}
    path = parquet(tmp_path / "e.parquet", {**base, "properties": ["{"]})
    with pytest.raises(CommandError, match=r"e\.parquet, line 1: "):
        run(path)


def test_parquet__without_pyarrow__says_what_to_install(run: Any, tmp_path: Path, monkeypatch: Any):
    path = parquet(tmp_path / "e.parquet", {"event": ["a"]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CommandError, match="pip install pyarrow"):
        run(path)

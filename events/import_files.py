"""The files that events can be imported from, as rows: JSON lines, gzipped or not, and Parquet."""

import gzip
import zlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import orjson

STANDARD_INPUT = "-"
# More than any event may have, with what JSON needs around it.
MAX_LINE_BYTES = 8 * 1024 * 1024
_LINES = (".jsonl", ".ndjson", ".json")
_PARQUET_ROWS = 5000


class UnreadableFile(Exception):
    """The file cannot be read at all; the text says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line or row. `text` is what identifies it; `problem` says why it has no value."""

    number: int
    text: str
    value: Any = None
    problem: str | None = None


@dataclass(slots=True)
class Source:
    """A file to import. `path` is None for standard input, which cannot be resumed."""

    name: str
    path: Path | None
    rows: Callable[[], Generator[Row, None, None]]
    # What part of the file has been read, from 0 to 1; None where that is not known.
    part_read: Callable[[], float | None] = lambda: None


def open_source(argument: str, *, standard_input: IO[bytes]) -> Source:
    """The file of a command line argument. Raises UnreadableFile."""
    if argument == STANDARD_INPUT:
        return Source(name=STANDARD_INPUT, path=None, rows=lambda: lines(standard_input))
    path = Path(argument)
    if not path.is_file():
        raise UnreadableFile(f"{argument}: there is no such file")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".parquet"]:
        return _parquet(path)
    zipped = suffixes[-1:] == [".gz"]
    kind = suffixes[-2:-1] if zipped else suffixes[-1:]
    if not kind or kind[0] not in _LINES:
        raise UnreadableFile(f"{argument}: files end in {', '.join(_LINES)} (with .gz or without) or .parquet")
    return _line_file(path, zipped=zipped)


def _line_file(path: Path, *, zipped: bool) -> Source:
    size, files = path.stat().st_size, list[IO[bytes]]()

    def rows() -> Generator[Row, None, None]:
        with path.open("rb") as file:
            files[:] = [file]
            if not zipped:
                yield from lines(file)
                return
            try:
                with gzip.open(file) as unzipped:
                    yield from lines(unzipped)
            except (OSError, EOFError, zlib.error) as error:
                raise UnreadableFile(f"{path.name}: {error}") from error

    def part_read() -> float | None:
        return files[0].tell() / size if files and size and not files[0].closed else None

    return Source(name=path.name, path=path, rows=rows, part_read=part_read)


def lines(file: Any) -> Generator[Row, None, None]:
    """The rows of JSON lines; blank lines are none, and keep their number."""
    number = 0
    while line := file.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield Row(number, "", problem=f"the line is longer than {MAX_LINE_BYTES} bytes")
            continue
        text = line.strip()
        if text:
            yield _line(number, text)


def _line(number: int, text: bytes) -> Row:
    try:
        return Row(number, text.decode(), value=orjson.loads(text))
    except (orjson.JSONDecodeError, UnicodeDecodeError) as error:
        return Row(number, "", problem=f"no JSON: {error}")


# --- Parquet -----------------------------------------------------------------------------------------------------


def _parquet(path: Path) -> Source:
    try:
        import pyarrow  # noqa: PLC0415  (optional)
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError as error:
        raise UnreadableFile(f"{path.name}: Parquet files need pyarrow. Install it: pip install pyarrow") from error
    try:
        file = pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise UnreadableFile(f"{path.name}: {error}") from error
    total, position = file.metadata.num_rows, [0]

    def rows() -> Generator[Row, None, None]:
        for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
            for row in batch.to_pylist():
                position[0] += 1
                yield _parquet_row(position[0], row)

    return Source(name=path.name, path=path, rows=rows, part_read=lambda: position[0] / total if total else None)


def _parquet_row(number: int, row: Mapping[str, Any]) -> Row:
    try:
        value = {name: _plain(member) for name, member in row.items() if member is not None}
        for name in ("properties", "$set", "$set_once"):
            if isinstance(value.get(name), str):
                value[name] = orjson.loads(value[name])
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except (ValueError, TypeError) as error:
        return Row(number, "", problem=str(error))
    return Row(number, text, value=value)


def _plain(value: Any) -> Any:
    """A value of a column as JSON has it. Members of structures that are null are absent: they need not be there."""
    if isinstance(value, dict):
        return {str(name): _plain(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        # A map comes as a list of pairs.
        if value and all(isinstance(member, tuple) and len(member) == 2 for member in value):
            return {str(name): _plain(member) for name, member in value if member is not None}
        return [_plain(member) for member in value]
    if isinstance(value, datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value

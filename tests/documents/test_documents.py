"""What the documents say of commands, variables, routes and files is true."""

import re
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands
from django.urls import resolve

from common.api.errors import endpoint_not_found
from tests import own_environment
from tests.live_service import ROOT

README = (ROOT / "README.md").read_text()
DOCUMENTS = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md"))
    if path.is_file()
)
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def table_after(heading: str) -> list[list[str]]:
    """The cells of the first table after a heading of the README."""
    lines = README.partition(f"\n{heading}\n")[2].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|---"))
    rows = []
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def routes(state: str) -> list[str]:
    found = []
    for cell, _, row_state in table_after("## 4. What is there"):
        if row_state == state:
            found += re.findall(r"`([^`]+)`", cell)
    return found


def address(route: str) -> str:
    return re.sub(r"\{[a-z_]+\}", "1", route)


# --- Commands --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_document__make_targets__exist(path: Path) -> None:
    assert set(re.findall(r"\bmake ([a-z-]+)(?=[ `\n]*[`\n\"#]| ARGS)", path.read_text())) <= TARGETS


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_document__manage_commands__exist(path: Path) -> None:
    assert set(re.findall(r"manage\.py ([a-z_]+)", path.read_text())) <= set(get_commands())


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_document__links_to_files__lead_somewhere(path: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", path.read_text()) if "://" not in link]
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_document__paths_in_code__exist(path: Path) -> None:
    named_paths = re.findall(r"`((?:[a-z_]+/)+[a-z_]*(?:\.(?:py|md|yml|yaml))?)`", path.read_text())
    # What commands make is not there before they have run.
    kept = [name for name in named_paths if not name.startswith("build/")]
    assert [name for name in kept if not (ROOT / name).exists()] == []


def test_makefile__every_target__is_told_by_help() -> None:
    described = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert described == TARGETS


# --- Variables -------------------------------------------------------------------------------------------------


def test_configuration_table__variables__are_those_that_are_read() -> None:
    read: set[str] = set()
    for path in (ROOT / "experiments_service").rglob("*.py"):
        text = path.read_text()
        read |= set(re.findall(r"\benv\.[a-z_]+\(\s*\"([A-Z_]+)\"", text))
        read |= set(re.findall(r"os\.environ\.get\(\"([A-Z_]+)\"", text))
    told = {name.strip("`") for name, _, _ in table_after("## 5. Configuration")}
    assert told == read - {"TEST_DATABASE_NAME"}
    assert told == own_environment.VARIABLES


def test_compose__variables__are_told() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    wanted = set(re.findall(r"\$\{([A-Z_]+)", compose))
    told = README + (ROOT / "docs" / "how-to" / "run-in-production.md").read_text()
    assert {name for name in wanted if name not in told} == set()


# --- Routes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", routes("available"))
def test_route_table__available__is_served(route: str) -> None:
    assert resolve(address(route)).func is not endpoint_not_found


def test_route_table__states__are_known() -> None:
    assert {state for _, _, state in table_after("## 4. What is there")} == {"available"}


def test_route_table__every_path_of_the_openapi_document__is_below_an_available_route() -> None:
    document = yaml.safe_load((ROOT / "openapi.yaml").read_text())
    told = [address(route) for route in routes("available")]
    missing = [path for path in document["paths"] if not any(address(path).startswith(route) for route in told)]
    assert missing == []

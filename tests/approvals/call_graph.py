"""Who refers to whom in the service, read from its source: functions and methods by their full names.

It errs on the side of too many references: whatever a name may mean, it is taken to mean.
"""

import ast
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path

from tests.live_service import ROOT

PACKAGES = (
    "activity",
    "approvals",
    "cohorts",
    "common",
    "events",
    "experiments",
    "experiments_service",
    "feature_flags",
    "projects",
    "stats",
)
Function = ast.FunctionDef | ast.AsyncFunctionDef
Graph = Mapping[str, Collection[str]]


@cache
def references() -> Graph:
    """Every function of the service with the functions it refers to."""
    modules = {_name(path): ast.parse(path.read_text()) for path in _sources()}
    functions = {
        f"{module}.{name}": (module, node) for module, tree in modules.items() for name, node in _functions(tree)
    }
    methods: dict[str, set[str]] = {}
    for full in functions:
        methods.setdefault(full.rpartition(".")[2], set()).add(full)
    imports = {module: _imports(tree) for module, tree in modules.items()}
    graph: dict[str, set[str]] = {}
    for full, (module, node) in functions.items():
        own = {name: f"{module}.{name}" for name, _ in _functions(modules[module])}
        given = {argument.arg for argument in ast.walk(node) if isinstance(argument, ast.arg)} - {"self", "cls"}
        meant = {name: meaning for name, meaning in (own | imports[module]).items() if name not in given}
        found: set[str] = set()
        for dotted in _dotted_names(node):
            root, _, rest = dotted.partition(".")
            if root in ("self", "cls"):
                found |= methods.get(rest.partition(".")[0], set())
            elif root in meant:
                found.add(".".join(filter(None, (meant[root], rest))))
        graph[full] = {name for name in found if name in functions and name != full}
    return graph


def reaching(targets: Collection[str], *, through: Graph, cut: Collection[str] = ()) -> set[str]:
    """The functions that refer to one of `targets`, directly or by others; none is followed through those of `cut`."""
    callers: dict[str, set[str]] = {}
    for name, referred in through.items():
        for other in referred:
            callers.setdefault(other, set()).add(name)
    found: set[str] = set()
    todo = list(targets)
    while todo:
        for caller in callers.get(todo.pop(), ()):
            if caller not in found and caller not in cut:
                found.add(caller)
                todo.append(caller)
    return found


def constructing(dotted: str) -> set[str]:
    """The functions that call the class or function with this full name, which modules import."""
    found = set()
    for path in _sources():
        module, tree = _name(path), ast.parse(path.read_text())
        imported = _imports(tree)
        for name, node in _functions(tree):
            calls = [one.func for one in ast.walk(node) if isinstance(one, ast.Call)]
            for called in filter(None, map(_dotted, calls)):
                root, _, rest = called.partition(".")
                if ".".join(filter(None, (imported.get(root, f"{module}.{root}"), rest))) == dotted:
                    found.add(f"{module}.{name}")
    return found


def _sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (path for path in (ROOT / package).rglob("*.py") if "migrations" not in path.parts)


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Functions and methods; what is nested in a function is a part of it."""
    for node in tree.body:
        if isinstance(node, Function):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, Function):
                    yield f"{node.name}.{member.name}", member


def _imports(tree: ast.Module) -> dict[str, str]:
    """What the imported names of a module stand for."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                names[alias.asname or first] = alias.name if alias.asname else first
    return names


def _dotted_names(node: ast.AST) -> Iterator[str]:
    for one in ast.walk(node):
        dotted = _dotted(one)
        if dotted is not None:
            yield dotted


def _dotted(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        root = _dotted(node.value)
        return None if root is None else f"{root}.{node.attr}"
    return None

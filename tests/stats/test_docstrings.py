"""The statistics' own documentation: everything public has one, formulas name their source, examples are run."""

import ast
import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import stats

MODULES = sorted(path.stem for path in Path(stats.__file__).parent.glob("*.py"))
# What a reader can look a formula up in: an author with a year.
SOURCES = {
    "samples": ["Deng, Knoblich"],
    "effects": ["Deng, Knoblich", "Welch 1947"],
    "frequentist": ["Welch 1947"],
    "bayesian": ["Gelman et al."],
    "sequential": ["Waudby-Smith"],
    "cuped": ["Deng, Xu, Kohavi and Walker 2013", "Deng, Knoblich"],
    "srm": ["Pearson 1900", "Fabijan et al. 2019"],
    "multiplicity": ["Holm 1979", "Benjamini and Hochberg 1995"],
    "power": ["Lehr 1992"],
}


def source_of(module: str) -> str:
    return (Path(stats.__file__).parent / f"{module}.py").read_text()


def public_definitions(module: str) -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    """Public functions, classes and methods, by their dotted name."""

    def walk(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                yield f"{prefix}{node.name}", node
                if isinstance(node, ast.ClassDef):
                    yield from walk(node.body, f"{prefix}{node.name}.")

    yield from walk(ast.parse(source_of(module)).body, f"{module}.")


DEFINITIONS = [definition for module in MODULES for definition in public_definitions(module)]


@pytest.mark.parametrize("module", MODULES)
def test_examples__are_true(module: str) -> None:
    name = "stats" if module == "__init__" else f"stats.{module}"
    outcome = doctest.testmod(importlib.import_module(name), raise_on_error=False)

    assert outcome.failed == 0


def test_examples__are_plenty() -> None:
    """So that a change of how they are found cannot leave them unread."""
    found = [
        len(test.examples)
        for module in MODULES
        for test in doctest.DocTestFinder().find(importlib.import_module(f"stats.{module}"))
        if module != "__init__"
    ]

    assert sum(found) > 40


@pytest.mark.parametrize(("name", "node"), DEFINITIONS, ids=[name for name, _ in DEFINITIONS])
def test_public_definition__has_a_docstring(name: str, node: ast.FunctionDef | ast.ClassDef) -> None:
    text = ast.get_docstring(node)

    assert text, name
    assert text.splitlines()[0].endswith((".", ":", ",", ";")) or len(text.splitlines()) > 1, name


@pytest.mark.parametrize(("name", "node"), DEFINITIONS, ids=[name for name, _ in DEFINITIONS])
def test_public_definition__names_what_it_may_raise_and_leave_undetermined(
    name: str, node: ast.FunctionDef | ast.ClassDef
) -> None:
    """`raise InvalidParameter` and `Undetermined("code")` in a function stand in its docstring or its module's."""
    if isinstance(node, ast.ClassDef):
        return
    documented = f"{ast.get_docstring(node)} {ast.get_docstring(ast.parse(source_of(name.split('.', maxsplit=1)[0])))}"
    for part in ast.walk(node):
        if isinstance(part, ast.Raise):
            assert "InvalidParameter" in documented, name
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == "Undetermined":
            for code in part.args:
                if isinstance(code, ast.Constant):
                    assert str(code.value) in documented, (name, code.value)


@pytest.mark.parametrize("module", SOURCES)
def test_module__cites_the_source_of_its_formulas(module: str) -> None:
    for source in SOURCES[module]:
        assert source in source_of(module)

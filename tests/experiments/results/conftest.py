"""Visitors of an experiment."""

from collections.abc import Callable

import pytest

from events.store import partitions
from tests.experiments.results.traffic import did, exposed


@pytest.fixture(autouse=True)
def _forget_partitions() -> None:
    partitions._known.clear()


@pytest.fixture
def hundred(capture: Callable[..., None]) -> None:
    """60 users see the control, 60 the test; 12 and 30 of them sign up, and each of those buys once."""
    for variant, number in (("control", 12), ("test", 30)):
        capture(*exposed(variant, 60), *did("signup", variant, number), *did("purchase", variant, number))

"""Every function that writes flags asks the gate or hands on to one that does: read from the source, and watched."""

import inspect
from importlib import import_module
from typing import Any

import pytest

from approvals.gate import GATED_WRITES, Passed
from feature_flags import services
from feature_flags.models import FeatureFlag
from projects.models import Project, User
from tests import gated_writes
from tests.approvals import call_graph
from tests.approvals.conftest import Flags

# The one function that saves rows of flags; `tests.gated_writes` sees in every test that there is no other.
WRITER = "feature_flags.services._save"

# Public functions that write flags without the mark. Everything they write is written by marked ones.
HAND_ON = {
    "experiments.duplicate.copy_experiment": "makes drafts, whose flag is born switched off",
    "experiments.flag_link.create": "passes the gate: a draft's flag is switched off, and for a launched one "
    "`create_experiment` asks",
    "experiments.flag_link.link_or_create": "is a part of `create_experiment`, which asks",
    "experiments_service.demo.experiment.create": "fills a project from the command line, asking like everybody",
    "experiments_service.management.commands.demo.Command.handle": "is the command that calls it",
    "feature_flags.approved.register": "names what applies approved requests",
    "feature_flags.schedules.apply_due": "files what its writes are held back for",
    "feature_flags.tasks.apply_scheduled_changes": "is the job that calls `apply_due`",
}
# Who may say that the gate has been passed.
PASSES = {
    "approvals.decisions._perform": "applies what was approved",
    "experiments.flag_link.create": "see above",
    "feature_flags.copying.copy_flag": "asks for the new flag itself, once it is made with all it needs",
    "experiments.holdouts._write_flags": "writes a part of a holdout's change, for which the gate is asked",
}


def test_flags__are_saved_below_marked_functions_alone() -> None:
    """With the marked functions taken out, no way is left from anywhere to the writer."""
    assert call_graph.reaching({WRITER}, through=call_graph.references(), cut=GATED_WRITES) == set()


def test_public_functions_that_write_flags__are_marked_or_named() -> None:
    writing = {
        name
        for name in call_graph.reaching({WRITER}, through=call_graph.references())
        if not name.rpartition(".")[2].startswith("_") and ".api." not in name and ".apps." not in name
    }

    assert writing - GATED_WRITES == set(HAND_ON)


def test_marked_functions__each__leads_to_the_question() -> None:
    asking = call_graph.reaching({"approvals.gate.require"}, through=call_graph.references())

    assert GATED_WRITES - asking == set()


def test_passing_the_gate__is_said_by_those_that_are_named() -> None:
    assert call_graph.constructing("approvals.gate.Passed") == set(PASSES)


@pytest.mark.parametrize("name", sorted(GATED_WRITES))
def test_marked_function__asks_unless_told_that_the_gate_is_passed(name: str) -> None:
    """What is left out when it is called is the question, not the answer."""
    module, _, function = name.rpartition(".")

    parameters = inspect.signature(getattr(import_module(module), function)).parameters

    if "gate" in parameters:
        assert parameters["gate"].default is None


def test_watch__a_write_round_the_gate__is_seen(flags: Flags) -> None:
    """The watch of all tests is awake: what is saved by a function without the mark is told with who called it."""
    flag = FeatureFlag.objects.get(pk=flags.made()["id"])
    flag.name = "Changed"

    services._save(flag, fields=["name"])

    assert gated_writes.round_the_gate == ["feature_flags.services._save"]
    gated_writes.round_the_gate.clear()


def test_watch__what_tests_write_and_marked_functions__are_not_told(
    flags: Flags, project: Project, member: User
) -> None:
    made: Any = flags.made()

    FeatureFlag.objects.filter(pk=made["id"]).update(name="Changed")
    services.edit_flag(
        project=project, flag_id=made["id"], user=member, changes={"active": True}, gate=Passed(trigger=None)
    )

    assert gated_writes.round_the_gate == []

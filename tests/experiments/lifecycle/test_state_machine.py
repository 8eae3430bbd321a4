"""Any sequence of requests leaves the service where the plain model of `model.py` says it must be."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from rest_framework.test import APIClient

from projects.models import Organization, Project, User
from tests.experiments.lifecycle.approvals import LifecycleWithApprovals
from tests.experiments.lifecycle.conftest import Clock
from tests.experiments.lifecycle.machine import ACTS


@pytest.fixture
def machine(
    clock: Clock,
    organization: Organization,
    project: Project,
    api: APIClient,
    outsider: User,
    outsider_api: APIClient,
    owner: User,
    owner_api: APIClient,
) -> type[LifecycleWithApprovals]:
    LifecycleWithApprovals.clock, LifecycleWithApprovals.organization = clock, organization
    LifecycleWithApprovals.api, LifecycleWithApprovals.outsider_api = api, outsider_api
    LifecycleWithApprovals.approver, LifecycleWithApprovals.approver_api = owner, owner_api
    LifecycleWithApprovals.elsewhere = (project.pk, outsider.current_project_id or 0)
    LifecycleWithApprovals.steps, LifecycleWithApprovals.outcomes = Counter(), Counter()
    return LifecycleWithApprovals


def run(machine: type[LifecycleWithApprovals], *, examples: int, steps: int, derandomize: bool) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=derandomize,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


def test_lifecycle__any_sequence_of_requests__agrees_with_the_model(machine: type[LifecycleWithApprovals]) -> None:
    run(machine, examples=20, steps=20, derandomize=True)
    assert machine.steps.total() >= 300
    assert len(machine.outcomes) >= 30, "too few of the acts were both done and refused"


@pytest.mark.slow
def test_lifecycle__very_many_sequences_of_requests__agree_with_the_model(
    machine: type[LifecycleWithApprovals],
) -> None:
    run(machine, examples=200, steps=30, derandomize=False)
    assert machine.steps.total() >= 3000
    for name in (*ACTS, "patch", "create", "duplicate"):
        assert machine.outcomes[name, "changed something"], name
        assert machine.outcomes[name, "refused"], name

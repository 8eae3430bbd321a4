"""References to actions hold when they are written; what was stored before is not asked again."""

from collections.abc import Set

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from common.errors import Invalid
from events.models import Action
from experiments.action_references import check_actions
from projects.models import Project, User


@pytest.fixture
def actions(project: Project) -> list[int]:
    return [Action.objects.create(project=project, name=name).pk for name in ("Bought", "Visited")]


def refusal_of(project: Project, *, wanted: set[int], known: Set[int] = frozenset()) -> Invalid:
    with pytest.raises(Invalid) as caught:
        check_actions(project, wanted=wanted, known=known)
    return caught.value


def text_for(ids: str) -> str:
    return (
        f"Action(s) with ID {ids} not found or deleted. "
        "Each ActionsNode must reference an existing action belonging to this project."
    )


def test_check__actions_of_the_project__are_found_with_one_query(
    project: Project, actions: list[int], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        check_actions(project, wanted=set(actions))


@pytest.mark.parametrize("known", [set(), {5}])
def test_check__nothing_to_ask__asks_nothing(
    project: Project, known: set[int], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        check_actions(project, wanted=known, known=known)


def test_check__unknown_ids__are_named_in_order_without_a_field(project: Project, actions: list[int]) -> None:
    missing = sorted((max(actions) + 20, max(actions) + 9))
    refusal = refusal_of(project, wanted={*actions, *missing})

    assert (refusal.code, refusal.attr) == ("invalid_input", None)
    assert refusal.detail == text_for(f"{missing[0]}, {missing[1]}")


@pytest.mark.parametrize("action_id", [2**63, 10**400, -1, 0])
def test_check__id_that_no_row_can_have__is_not_found(project: Project, action_id: int) -> None:
    assert refusal_of(project, wanted={action_id}).detail == text_for(str(action_id))


def test_check__deleted_action__is_refused_unless_stored_before(project: Project, actions: list[int]) -> None:
    Action.objects.filter(pk=actions[0]).update(deleted=True)

    assert refusal_of(project, wanted=set(actions)).detail == text_for(str(actions[0]))
    check_actions(project, wanted=set(actions), known={actions[0]})


def test_check__action_of_another_project__is_not_found(project: Project, outsider: User) -> None:
    elsewhere = Project.objects.exclude(pk=project.pk).get()
    foreign = Action.objects.create(project=elsewhere, name="Bought").pk

    assert refusal_of(project, wanted={foreign}).detail == text_for(str(foreign))

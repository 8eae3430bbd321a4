"""Filters of test accounts: kept as sent when results can compute them, refused by name when not."""

from typing import Any

import pytest

from cohorts.models import Cohort
from projects.models import Project, User
from tests.cast import error

URL = "/api/projects/@current/"
EMAIL = {"key": "email", "type": "person", "operator": "not_icontains", "value": "@example.com"}


@pytest.mark.parametrize(
    "filters",
    [
        [],
        [{}],
        [EMAIL],
        [{"key": "$host", "value": ["localhost", 127.0, None]}],
        [{"key": "$feature/a", "type": "feature", "operator": "exact", "value": "test"}],
        [{"key": "name", "type": "group", "operator": "exact", "value": "Acme", "group_type_index": 0}],
        [EMAIL, {"key": "plan", "operator": "is_set", "type": "event", "label": "Plan"}],
    ],
)
def test_update__computed_filters__are_kept_as_sent(owner_api: Any, filters: list[Any]):
    answer = owner_api.patch(URL, {"test_account_filters": filters})

    assert answer.status_code == 200
    assert answer.json()["test_account_filters"] == filters
    assert owner_api.get(URL).json()["test_account_filters"] == filters


@pytest.mark.parametrize(
    ("refused", "detail"),
    [
        ({"type": "hogql", "key": "1 = 1"}, "Property filters of type 'hogql' cannot be computed."),
        (
            {"type": "session", "key": "$duration", "operator": "gt", "value": 3},
            "Property filters of type 'session' cannot be computed.",
        ),
        ({"type": "flag", "key": "7", "value": True}, "Property filters of type 'flag' cannot be computed."),
        (
            {"key": "$host", "operator": "is_cleaned_path_exact", "value": "/"},
            "Operator 'is_cleaned_path_exact' cannot be computed.",
        ),
        ({"type": "cohort", "value": 3, "operator": "gt"}, "Operator 'gt' cannot be computed."),
        ({"type": "cohort", "value": 7_000_000}, "Cohort with id 7000000 does not exist"),
        ({"type": "cohort", "value": -(2**70)}, f"Cohort with id {-(2**70)} does not exist"),
        ({"key": 1}, "test_account_filters[1].key: Input should be a valid string"),
        ({"key": "email", "type": "person"}, "test_account_filters[1].operator: Field required"),
        ({"key": "email", "zone": 1}, "test_account_filters[1].zone: Extra inputs are not permitted"),
    ],
)
def test_update__filter_not_computed__is_refused(owner_api: Any, project: Project, refused: Any, detail: str):
    for url, verb in ((URL, owner_api.patch), ("/api/organizations/@current/projects/", owner_api.post)):
        answer = verb(url, {"name": "Shop", "test_account_filters": [EMAIL, refused]})
        assert (answer.status_code, answer.json()) == (400, error("invalid_input", detail, "test_account_filters"))
    assert Project.objects.get().test_account_filters == []


def test_update__no_list__is_refused(owner_api: Any):
    answer = owner_api.patch(URL, {"test_account_filters": {}})

    assert answer.json() == error("not_a_list", 'Expected a list of items but got type "dict".', "test_account_filters")


def test_update__more_filters_than_one_event_may_cost__is_refused(owner_api: Any):
    answer = owner_api.patch(URL, {"test_account_filters": [{}] * 1001})

    assert (answer.status_code, answer.json()["attr"]) == (400, "test_account_filters")


def test_update__cohort__must_be_a_live_one_of_the_project(owner_api: Any, project: Project, outsider: User):
    mine = Cohort.objects.create(project=project, name="Staff")
    deleted = Cohort.objects.create(project=project, name="Gone", deleted=True)
    theirs = Cohort.objects.create(project=Project.objects.get(name="Foreign"), name="Theirs")

    def kept(cohort: Cohort) -> int:
        filters = [{"type": "cohort", "key": "id", "operator": "not_in", "value": cohort.pk}]
        status: int = owner_api.patch(URL, {"test_account_filters": filters}).status_code
        return status

    assert (kept(mine), kept(deleted), kept(theirs)) == (200, 400, 400)

"""Definitions are kept as long as they are true: no query in the steady state, every change seen at once."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from cohorts.models import Cohort
from events.models import GroupType
from experiments.models import Experiment
from feature_flags import definitions_cache, project_definitions
from feature_flags.definitions_cache import DefinitionsCache, cache
from feature_flags.models import FeatureFlag
from projects.models import Organization, Project
from tests.feature_flags.conftest import Flags, key_of
from tests.feature_flags.sdk.conftest import EVERYBODY, PRO, Sdk

# These tests need real commits: notifications are part of them.
pytestmark = pytest.mark.django_db(transaction=True)

EVERYBODY_FILTERS = {"groups": [EVERYBODY]}


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    cache.close()
    yield
    cache.close()


@pytest.fixture
def project() -> Project:
    organization = Organization.objects.create(name="Acme", slug="acme")
    return Project.objects.create(organization=organization, name="Shop")


@pytest.fixture
def sdk(project: Project) -> Sdk:
    return Sdk(project)


@pytest.fixture
def flag(project: Project) -> FeatureFlag:
    return FeatureFlag.objects.create(project=project, key="beta", filters=EVERYBODY_FILTERS)


def queries_of(act: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as captured:
        act()
    return len(captured)


def elsewhere(*statements: str) -> None:
    """Change the database as another process does, past every line of this one."""
    parameters = connection.get_connection_params()
    with psycopg.connect(
        **{name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if name in parameters}
    ) as other:
        for statement in statements:
            other.execute(statement)


def soon(claim: Callable[[], bool]) -> None:
    """`claim` holds within a second. Notifications of other processes take a moment to arrive."""
    deadline = time.monotonic() + 1
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_steady_state__asks_the_database_nothing(sdk: Sdk, flag: FeatureFlag) -> None:
    sdk.ask()
    assert queries_of(sdk.ask) == 0
    assert sdk.values() == {"beta": True}


def test_steady_state__with_stored_properties__is_one_query(sdk: Sdk, project: Project) -> None:
    FeatureFlag.objects.create(project=project, key="pro", filters={"groups": [{"properties": [PRO]}]})
    sdk.ask()
    assert queries_of(sdk.ask) == 1
    assert queries_of(lambda: sdk.ask(person_properties={"plan": "pro"})) == 0


def test_write_through_rest__is_seen_by_the_very_next_request(sdk: Sdk, project: Project, flag: FeatureFlag) -> None:
    from projects.models import OrganizationMembership, User

    user = User.objects.create_user("olivia@acme.test")
    OrganizationMembership.objects.create(organization=project.organization, user=user, level=15)
    flags = Flags(project, key_of(user))
    for active in (False, True) * 10:
        assert flags.patch(flag, {"active": active}).status_code == 200
        assert sdk.values() == ({"beta": True} if active else {})


CHANGES: dict[str, tuple[str, Callable[[Sdk], bool]]] = {
    "flag switched off": (
        "UPDATE feature_flags_featureflag SET active = FALSE WHERE key = 'company'",
        lambda sdk: "company" not in sdk.values(),
    ),
    "flag removed": (
        "DELETE FROM feature_flags_featureflag WHERE key = 'company'",
        lambda sdk: "company" not in sdk.values(),
    ),
    "token changed": (
        "UPDATE projects_project SET api_token = 'phc_new'",
        lambda sdk: sdk.post(body={"token": sdk.token, "distinct_id": "a"}).status_code == 401,
    ),
    "cohort changed": (
        """UPDATE cohorts_cohort SET filters = '{"properties": {"type": "AND", "values": []}}'""",
        lambda sdk: sdk.values()["member"] is True,
    ),
    "experiment linked": (
        "UPDATE experiments_experiment SET deleted = FALSE",
        lambda sdk: sdk.ask()["flags"]["beta"]["metadata"]["has_experiment"] is True,
    ),
    "group type made": (
        "UPDATE events_grouptype SET group_type = 'company'",
        lambda sdk: sdk.values(groups={"company": "acme"})["company"] is True,
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_change_by_another_process__is_seen_within_moments(
    sdk: Sdk, project: Project, flag: FeatureFlag, change: str
) -> None:
    cohort = Cohort.objects.create(
        project=project, name="Nobody", filters={"properties": {"type": "AND", "values": [PRO]}}
    )
    in_cohort = {"key": "id", "type": "cohort", "value": cohort.pk, "operator": "in"}
    FeatureFlag.objects.create(project=project, key="member", filters={"groups": [{"properties": [in_cohort]}]})
    by_company = {"aggregation_group_type_index": 0, "groups": [EVERYBODY]}
    FeatureFlag.objects.create(project=project, key="company", filters=by_company)
    GroupType.objects.create(project=project, group_type="team", group_type_index=0)
    Experiment.objects.create(project=project, feature_flag=flag, name="Beta", deleted=True)
    sdk.ask()
    statement, is_seen = CHANGES[change]
    assert not is_seen(sdk)
    elsewhere(statement)
    soon(lambda: is_seen(sdk))


def test_calculation_of_a_cohort__disturbs_nothing(sdk: Sdk, project: Project, flag: FeatureFlag) -> None:
    Cohort.objects.create(project=project, name="Everybody")
    sdk.ask()
    elsewhere("UPDATE cohorts_cohort SET version = 2, is_calculating = TRUE, count = 5")
    time.sleep(0.1)
    assert queries_of(sdk.ask) == 0


def test_change_in_another_project__disturbs_nothing(sdk: Sdk, project: Project, flag: FeatureFlag) -> None:
    other = Project.objects.create(organization=project.organization, name="Other")
    sdk.ask()
    FeatureFlag.objects.create(project=other, key="beta", filters=EVERYBODY_FILTERS)
    time.sleep(0.1)
    assert queries_of(sdk.ask) == 0


def test_change_that_is_rolled_back__is_never_seen(sdk: Sdk, flag: FeatureFlag) -> None:
    sdk.ask()
    with transaction.atomic():
        FeatureFlag.objects.update(active=False)
        assert sdk.values() == {}  # the transaction itself sees it
        transaction.set_rollback(True)
    assert sdk.values() == {"beta": True}


def test_unchanged_flags__are_not_compiled_again(project: Project, flag: FeatureFlag) -> None:
    before = cache.of_project(project.pk)
    FeatureFlag.objects.create(project=project, key="new", filters=EVERYBODY_FILTERS)
    cache.distrust()
    after = cache.of_project(project.pk)
    kept = next(iter(before.compiled))
    assert after is not before
    assert after.compiled[kept] is before.compiled[kept]


def test_nothing_changed__keeps_the_very_same_definitions(project: Project, flag: FeatureFlag) -> None:
    before = cache.of_project(project.pk)
    cache.distrust()
    assert cache.of_project(project.pk) is before


def test_without_a_listener__every_request_looks(sdk: Sdk, flag: FeatureFlag, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache._listener, "listen", lambda: False)
    sdk.ask()
    elsewhere("UPDATE feature_flags_featureflag SET active = FALSE")
    assert sdk.values() == {}


def test_listener_cut_off__is_noticed_and_restored(sdk: Sdk, flag: FeatureFlag) -> None:
    sdk.ask()
    elsewhere(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %' "
        "AND datname = current_database()",
        "UPDATE feature_flags_featureflag SET active = FALSE",
    )
    soon(lambda: sdk.values() == {})
    soon(lambda: queries_of(sdk.ask) == 0)
    elsewhere("UPDATE feature_flags_featureflag SET active = TRUE")
    soon(lambda: sdk.values() == {"beta": True})


def test_notification_lost__is_made_good_after_a_while(
    sdk: Sdk, flag: FeatureFlag, monkeypatch: pytest.MonkeyPatch
) -> None:
    sdk.ask()
    monkeypatch.setattr(cache._listener, "heard", list)
    elsewhere("UPDATE feature_flags_featureflag SET active = FALSE")
    assert sdk.values() == {"beta": True}
    monkeypatch.setattr(definitions_cache, "TRUST_SECONDS", 0.0)
    assert sdk.values() == {}


def test_change_while_definitions_are_read__is_not_lost(
    project: Project, flag: FeatureFlag, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = project_definitions.load

    def load_and_change(**wanted: Any) -> Any:
        found = load(**wanted)
        elsewhere("UPDATE feature_flags_featureflag SET active = FALSE")
        monkeypatch.setattr(definitions_cache, "load", load)
        return found

    monkeypatch.setattr(definitions_cache, "load", load_and_change)
    assert cache.of_project(project.pk).has_active_flags
    soon(lambda: not cache.of_project(project.pk).has_active_flags)


def test_projects_beyond_the_limit__push_out_the_oldest(
    project: Project, flag: FeatureFlag, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(definitions_cache, "MAX_PROJECTS", 2)
    small = DefinitionsCache()
    others = [Project.objects.create(organization=project.organization, name=name) for name in "abc"]
    for one in (project, *others):
        assert small.of_token(one.api_token) is not None
    assert len(small._by_project) == len(small._project_of) == 2
    small.close()


def test_many_threads__get_the_same_answers(project: Project, flag: FeatureFlag) -> None:
    found: list[bool] = []

    def ask() -> None:
        try:
            found.extend(cache.of_project(project.pk).has_active_flags for _ in range(50))
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    cache.distrust()
    for thread in threads:
        thread.join()
    assert found == [True] * 200

"""Persons as events make, change and merge them; compared with a plain model that knows nothing of the database."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.identity import may_merge, natural_id
from events.models import CohortMembership, ContinuityOverride, Person, PersonDistinctId, PersonOverride
from projects.models import Project
from tests.capturing import Capture, distinct_ids_of, event, overrides, person_of, stored

UUID_ = "0190b3e4-7c1e-7a51-9b1d-2f6d1c9a8e77"


def identify(distinct_id: str, anonymous: str, **more: Any) -> dict[str, Any]:
    return event("$identify", distinct_id, properties={"$anon_distinct_id": anonymous, **more})


def alias(distinct_id: str, other: str) -> dict[str, Any]:
    return event("$create_alias", distinct_id, properties={"distinct_id": distinct_id, "alias": other})


def set_(distinct_id: str, **properties: Any) -> dict[str, Any]:
    return event("$set", distinct_id, properties={"$set": properties})


def test_natural_id__is_a_fixed_uuid_of_project_and_id():
    assert natural_id(7, "ada") == UUID("50484f25-07aa-5d5c-a5ac-4f6a08efe692")
    assert natural_id(7, "ada") != natural_id(8, "ada")


def test_event__makes_the_person_of_its_id(project: Project, capture: Capture):
    capture(event(timestamp="2026-03-01T09:00:00Z"), event(timestamp="2026-03-02T09:00:00Z"))
    person = person_of(project, "ada")

    assert person.uuid == natural_id(project.pk, "ada")
    assert person.created_at == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert (person.properties, person.is_identified) == ({}, False)
    assert {found.person_id for found in stored(project)} == {person.uuid}


def test_event_without_profile__makes_no_person_and_changes_none(project: Project, capture: Capture):
    capture(event(properties={"$process_person_profile": False, "$set": {"a": 1}}))
    capture(identify("ada", "anon-1", **{"$process_person_profile": False}))

    assert not Person.objects.exists()
    assert {found.person_id for found in stored(project)} == {natural_id(project.pk, "ada")}


def test_event_without_profile__of_a_known_id__belongs_to_its_person(project: Project, capture: Capture):
    capture(identify("ada", "anon-1"))
    capture(event("later", "anon-1", properties={"$process_person_profile": False}))

    assert [found.person_id for found in stored(project) if found.event == "later"] == [natural_id(project.pk, "ada")]


def test_set__overwrites__set_once__only_adds__unset__removes(project: Project, capture: Capture):
    capture(set_("ada", plan="free", email="a@example.com", old=1))
    capture(
        event(properties={"$set": {"plan": "pro"}, "$set_once": {"email": "b@example.com", "first": True}}),
        event(properties={"$unset": ["old", "never there", 5]}),
    )

    assert person_of(project, "ada").properties == {"plan": "pro", "email": "a@example.com", "first": True}


@pytest.mark.parametrize("changes", [{"$set": []}, {"$set": "x"}, {"$set_once": 1}, {"$unset": "plan"}, {"$set": None}])
def test_changes_of_the_wrong_type__are_left_alone(project: Project, capture: Capture, changes: dict[str, Any]):
    capture(set_("ada", plan="free"))
    capture(event(properties=changes))

    assert person_of(project, "ada").properties == {"plan": "free"}


def test_set__true_is_not_one(project: Project, capture: Capture):
    capture(set_("ada", a=1, b=[1]))
    capture(set_("ada", a=True, b=[True]))

    assert person_of(project, "ada").properties == {"a": True, "b": [True]}


def test_set__of_what_is_there__locks_and_writes_nothing(project: Project, capture: Capture):
    capture(set_("ada", plan="free"), event("warm"))
    with connection.execute_wrapper(_refuse_person_locks):
        capture(set_("ada", plan="free"), event("warm"))


def _refuse_person_locks(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    assert "UPDATE events_person" not in sql
    assert not ("FROM events_person" in sql and "FOR " in sql)
    return execute(sql, params, many, context)


def test_set__beyond_the_size_of_a_person__is_ignored(project: Project, capture: Capture):
    capture(set_("ada", plan="free"))
    capture(set_("ada", **{str(number): "a" * 90_000 for number in range(6)}))

    assert person_of(project, "ada").properties == {"plan": "free"}


def test_event_sent_again__does_not_change_the_person_again(project: Project, capture: Capture):
    first = {**set_("ada", plan="free"), "uuid": UUID_, "timestamp": "2026-03-01T09:00:00Z"}
    capture(first)
    capture(set_("ada", plan="pro"))
    capture(first)

    assert person_of(project, "ada").properties == {"plan": "pro"}


def test_identify__merges_the_anonymous_person(project: Project, capture: Capture):
    capture(
        event("before", "anon-1", timestamp="2026-01-01T00:00:00Z", properties={"$set": {"a": "anon", "b": "anon"}}),
        event("before", "ada", timestamp="2026-02-01T00:00:00Z", properties={"$set": {"a": "ada"}}),
    )
    capture(identify("ada", "anon-1", **{"$set": {"c": 1}}))
    person = person_of(project, "anon-1")

    assert distinct_ids_of(person) == ["ada", "anon-1"]
    assert person.uuid == natural_id(project.pk, "ada")
    assert person.properties == {"a": "ada", "b": "anon", "c": 1}
    assert person.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert person.is_identified
    assert overrides(project) == {natural_id(project.pk, "anon-1"): natural_id(project.pk, "ada")}
    assert Person.objects.count() == 1


def test_identify__id_never_seen__leaves_an_override_for_events_stored_before(project: Project, capture: Capture):
    capture(event("before", "anon-1", properties={"$process_person_profile": False}))
    capture(identify("ada", "anon-1"))

    assert stored(project)[0].person_id == natural_id(project.pk, "anon-1")
    assert overrides(project) == {natural_id(project.pk, "anon-1"): natural_id(project.pk, "ada")}


def test_identify__without_anonymous_id__identifies(project: Project, capture: Capture):
    capture(event("$identify", properties={"$set": {"plan": "pro"}}))

    assert person_of(project, "ada").is_identified
    assert person_of(project, "ada").properties == {"plan": "pro"}


def test_identify__other_person_is_identified_already__is_refused(project: Project, capture: Capture):
    capture(event("$identify", "bob"))
    capture(identify("ada", "bob"))

    assert person_of(project, "ada") != person_of(project, "bob")
    assert overrides(project) == {}


def test_merge_dangerously__merges_an_identified_person(project: Project, capture: Capture):
    capture(event("$identify", "bob"), event("$identify", "ada"))
    capture(event("$merge_dangerously", "ada", properties={"alias": "bob"}))

    assert person_of(project, "ada") == person_of(project, "bob")


def test_alias__merges_into_the_persons_of_the_event(project: Project, capture: Capture):
    capture(alias("ada", "other"))

    assert distinct_ids_of(person_of(project, "ada")) == ["ada", "other"]
    assert person_of(project, "ada").uuid == natural_id(project.pk, "ada")
    assert person_of(project, "ada").is_identified


def test_chain_of_merges__overrides_lead_straight_to_the_survivor(project: Project, capture: Capture):
    capture(identify("b", "a"))
    capture(event("$merge_dangerously", "c", properties={"alias": "b"}))
    c = natural_id(project.pk, "c")

    assert overrides(project) == {natural_id(project.pk, "a"): c, natural_id(project.pk, "b"): c}


def test_chain_of_merges__within_one_batch(project: Project, capture: Capture):
    capture(identify("b", "a"), event("$merge_dangerously", "c", properties={"alias": "b"}), event("last", "a"))
    c = natural_id(project.pk, "c")

    assert overrides(project) == {natural_id(project.pk, "a"): c, natural_id(project.pk, "b"): c}
    assert {found.person_id for found in stored(project)} == {c}


@pytest.mark.parametrize(
    "nobody",
    ["anonymous", "Guest", "DISTINCTID", "distinct_id", "id", "not_authenticated", "email", "undefined", "TRUE",
     "false", "[object Object]", "NaN", "None", "none", "null", "0", '"null"', "'guest'", " ", "''"],
)  # fmt: skip
def test_ids_that_stand_for_nobody__are_never_merged(project: Project, capture: Capture, nobody: str):
    capture(identify("ada", nobody), alias(nobody, "ada"), event("$identify", nobody))

    assert distinct_ids_of(person_of(project, "ada")) == ["ada"]
    assert not may_merge(nobody)


@pytest.mark.parametrize("somebody", ["nan", "NONE", "NULL", "00", "anonymous-1", "[object object]", '"'])
def test_ids_that_look_similar__are_merged(somebody: str):
    assert may_merge(somebody)


def test_merge__moves_memberships_and_overrides_that_the_survivor_lacks(project: Project, capture: Capture):
    capture(event("e", "ada"), event("e", "anon-1"))
    ada, anonymous = person_of(project, "ada"), person_of(project, "anon-1")
    for person, flag in ((ada, 1), (anonymous, 1), (anonymous, 2)):
        ContinuityOverride.objects.create(
            project=project, person=person, feature_flag_id=flag, hash_key=person.uuid.hex
        )
    for person, cohort in ((ada, 1), (anonymous, 1), (anonymous, 2)):
        CohortMembership.objects.create(project=project, person=person, cohort_id=cohort)
    capture(identify("ada", "anon-1"))

    assert set(ContinuityOverride.objects.values_list("person_id", "feature_flag_id", "hash_key")) == {
        (ada.pk, 1, ada.uuid.hex),
        (ada.pk, 2, anonymous.uuid.hex),
    }
    assert set(CohortMembership.objects.values_list("person_id", "cohort_id")) == {(ada.pk, 1), (ada.pk, 2)}


def test_new_person__where_an_override_leaves_the_natural_id__gets_a_fresh_uuid(project: Project, capture: Capture):
    capture(identify("ada", "anon-1"))
    Person.objects.all().delete()
    capture(event("later", "anon-1"))

    assert person_of(project, "anon-1").uuid != natural_id(project.pk, "anon-1")
    assert overrides(project) == {natural_id(project.pk, "anon-1"): natural_id(project.pk, "ada")}


def test_other_project__has_its_own_persons(project: Project, capture: Capture, outsider: Any):
    foreign = Project.objects.exclude(pk=project.pk).get()
    PersonDistinctId.objects.create(
        project=foreign,
        person=Person.objects.create(project=foreign, uuid=natural_id(foreign.pk, "ada")),
        distinct_id="ada",
    )
    capture(set_("ada", plan="pro"))

    assert person_of(foreign, "ada").properties == {}


def test_statements__do_not_grow_with_the_batch(project: Project, capture: Capture):
    def batch(size: int) -> list[dict[str, Any]]:
        return [
            identify(f"user-{size}-{number}", f"anon-{size}-{number}", **{"$set": {"n": number}})
            for number in range(size)
        ]

    # The second time, the names of the events are known.
    capture(*batch(1))
    capture(*batch(3))
    counts = []
    for size in (2, 50):
        statements: list[str] = []

        def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            statements.append(sql)  # noqa: B023  (called within this turn)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(note):
            capture(*batch(size))
        counts.append(len(statements))

    assert counts[0] == counts[1]


# --- The plain model -------------------------------------------------------------------------------------------


@dataclass
class PlainPerson:
    ids: set[str]
    properties: dict[str, Any] = field(default_factory=dict)
    identified: bool = False


class PlainWorld:
    """Persons as the documentation tells, with lists and loops only."""

    def __init__(self) -> None:
        self.persons: list[PlainPerson] = []

    def person(self, distinct_id: str) -> PlainPerson:
        for person in self.persons:
            if distinct_id in person.ids:
                return person
        self.persons.append(PlainPerson({distinct_id}))
        return self.persons[-1]

    def take(self, sent: dict[str, Any]) -> None:
        properties = sent["properties"]
        mine = self.person(sent["distinct_id"])
        other_id = properties.get("$anon_distinct_id", properties.get("alias"))
        if other_id is not None and other_id != sent["distinct_id"]:
            other = self.person(other_id)
            if other is not mine and (not other.identified or sent["event"] == "$merge_dangerously"):
                self.persons.remove(other)
                mine.ids |= other.ids
                mine.properties = {**other.properties, **mine.properties}
                mine.identified = True
        if sent["event"] == "$identify":
            mine.identified = True
        for key, value in properties.get("$set_once", {}).items():
            mine.properties.setdefault(key, value)
        mine.properties.update(properties.get("$set", {}))
        for key in properties.get("$unset", []):
            mine.properties.pop(key, None)

    def shown(self) -> set[tuple[frozenset[str], str, bool]]:
        return {
            (frozenset(person.ids), repr(sorted(person.properties.items())), person.identified)
            for person in self.persons
        }


IDS = st.sampled_from(["a", "b", "c", "d", "e"])
PROPERTIES = st.dictionaries(st.sampled_from(["x", "y"]), st.integers(0, 2), max_size=2)
EVENTS = st.one_of(
    st.builds(identify, IDS, IDS),
    st.builds(alias, IDS, IDS),
    st.builds(lambda one, other: event("$merge_dangerously", one, properties={"alias": other}), IDS, IDS),
    st.builds(lambda one, changed: event("$identify", one, properties={"$set": changed}), IDS, PROPERTIES),
    st.builds(lambda one, changed: event("seen", one, properties={"$set_once": changed}), IDS, PROPERTIES),
    st.builds(lambda one, keys: event("seen", one, properties={"$unset": keys}), IDS, st.lists(st.sampled_from("xy"))),
    st.builds(lambda one: event("seen", one, properties={}), IDS),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(EVENTS, min_size=1, max_size=6), min_size=1, max_size=5))
def test_any_events__give_the_persons_of_the_plain_model(
    project: Project, capture: Capture, batches: list[list[dict[str, Any]]]
):
    PersonOverride.objects.all().delete()
    Person.objects.all().delete()
    world = PlainWorld()
    for batch in batches:
        capture(*batch)
        for sent in batch:
            world.take(sent)

    shown = {
        (frozenset(distinct_ids_of(person)), repr(sorted(person.properties.items())), person.is_identified)
        for person in Person.objects.filter(project=project)
    }
    assert shown == world.shown()
    leading = overrides(project)
    assert not leading.keys() & set(leading.values())
    owners = {row.distinct_id: row.person.uuid for row in PersonDistinctId.objects.select_related("person")}
    for distinct_id, owner in owners.items():
        natural = natural_id(project.pk, distinct_id)
        assert leading.get(natural, natural) == owner

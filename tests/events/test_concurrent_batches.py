"""Batches that arrive at the same moment: none is lost, none waits for ever, and everybody has one person."""

import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from events import ingestion
from events.identity import natural_id
from events.incoming import Clock, read_event
from events.models import Event, Group, Person, PersonDistinctId
from events.store import event_store, partitions
from projects.models import Project
from tests.capturing import event, overrides

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 4
IDS = [f"id-{number}" for number in range(9)]
Batch = list[dict[str, Any]]


def store(project: Project, batch: Batch) -> None:
    clock = Clock(now=datetime.now(UTC))
    ingestion.store(project=project, events=[read_event(sent, clock=clock) for sent in batch])


def store_from_many_threads(project: Project, clients: list[list[Batch]]) -> None:
    """Every client sends its batches one after the other, all clients at once; an error of any is raised."""
    start = threading.Barrier(len(clients))
    errors: list[BaseException] = []

    def send(batches: list[Batch]) -> None:
        try:
            start.wait()
            for batch in batches:
                store(project, batch)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=[batches]) for batches in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


def clients_of(random_: random.Random, one: Callable[[random.Random], dict[str, Any]]) -> list[list[Batch]]:
    return [[[one(random_) for _ in range(6)] for _ in range(8)] for _ in range(THREADS)]


def anything(random_: random.Random) -> dict[str, Any]:
    mine, other = random_.choice(IDS), random_.choice(IDS)
    return random_.choice(
        [
            event("$identify", mine, properties={"$anon_distinct_id": other}),
            event("$create_alias", mine, properties={"alias": other}),
            event("$merge_dangerously", mine, properties={"alias": other}),
            event("seen", mine, properties={"$set": {other: random_.randint(0, 9)}}),
            event("seen", mine, properties={"$process_person_profile": False}),
            event("seen", mine),
        ]
    )


def merge(random_: random.Random) -> dict[str, Any]:
    mine, other = random_.choice(IDS), random_.choice(IDS)
    if random_.random() < 0.8:
        return event("seen", mine)
    return event("$merge_dangerously", mine, properties={"alias": other})


def check_everybody_has_one_person(project: Project) -> None:
    leading = overrides(project)
    owners = {row.distinct_id: row.person.uuid for row in PersonDistinctId.objects.select_related("person")}
    assert not leading.keys() & set(leading.values())
    assert set(owners.values()) == set(Person.objects.filter(project=project).values_list("uuid", flat=True))
    for distinct_id, person_id in Event.objects.filter(project=project).values_list("distinct_id", "person_id"):
        owner = owners.get(distinct_id, natural_id(project.pk, distinct_id))
        assert leading.get(person_id, person_id) == owner, distinct_id


@pytest.mark.parametrize("seed", range(4))
def test_any_events__from_many_clients__leave_one_person_an_id(project: Project, seed: int):
    clients = clients_of(random.Random(seed), anything)
    store_from_many_threads(project, clients)

    assert Event.objects.filter(project=project).count() == sum(len(b) for batches in clients for b in batches)
    check_everybody_has_one_person(project)


@pytest.mark.parametrize("seed", range(3))
def test_merges__from_many_clients__none_is_lost(project: Project, seed: int):
    clients = clients_of(random.Random(seed), merge)
    store_from_many_threads(project, clients)

    together = {distinct_id: {distinct_id} for distinct_id in IDS}
    for sent in (sent for batches in clients for batch in batches for sent in batch):
        other = sent.get("properties", {}).get("alias")
        if other is not None:
            union = together[sent["distinct_id"]] | together[other]
            for distinct_id in union:
                together[distinct_id] = union
    of_person: dict[int, set[str]] = {}
    for row in PersonDistinctId.objects.filter(project=project):
        of_person.setdefault(row.person_id, set()).add(row.distinct_id)
    assert all(
        together[distinct_id] >= ids and ids >= together[distinct_id]
        for ids in of_person.values()
        for distinct_id in ids
    )
    check_everybody_has_one_person(project)


def test_same_events__from_many_clients__are_stored_once(project: Project):
    batch = [event(distinct_id=f"new-{number}", uuid=f"0190b3e4-7c1e-7a51-9b1d-{number:012d}") for number in range(200)]
    shuffled = []
    for seed in range(THREADS):
        copy = list(batch)
        random.Random(seed).shuffle(copy)
        shuffled.append([copy, copy])
    store_from_many_threads(project, shuffled)

    assert Event.objects.filter(project=project).count() == 200
    check_everybody_has_one_person(project)


def test_same_groups_and_names__from_many_clients__are_made_once(project: Project):
    clients = [
        [
            [
                event(
                    "$groupidentify",
                    f"user-{number}",
                    properties={
                        "$group_type": f"type-{(number + client) % 7}",
                        "$group_key": f"key-{number}",
                        "$group_set": {f"from-{client}": number},
                    },
                )
                for number in range(10)
            ]
        ]
        for client in range(THREADS)
    ]
    store_from_many_threads(project, clients)

    types = dict(project.group_types.values_list("group_type", "group_type_index"))
    assert sorted(types.values()) == [0, 1, 2, 3, 4]
    for group in Group.objects.filter(project=project):
        assert group.group_properties
    assert project.event_definitions.count() == 1


def test_first_events_of_a_month__from_many_clients__share_one_partition(project: Project, caplog: Any):
    month = partitions.later(partitions.month_of(datetime.now(UTC)), -20)
    event_store().drop_before(datetime(month.year, month.month, 1, tzinfo=UTC) + timedelta(days=40))
    batch = [event(timestamp=f"{month}T12:00:00Z")]
    store_from_many_threads(project, [[batch]] * THREADS)

    assert Event.objects.filter(project=project).count() == THREADS
    assert [record.message for record in caplog.records if "partition" in record.message] == []

"""Exposures kept in advance: the same answers as without them, whatever happens to the events in between."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event as Signal
from threading import Thread

import pytest
from django.db import connection, transaction

from events import ingestion, person_deletion
from events.incoming import Clock, read_event
from events.models import AggregatedDay, ChangedDay, Person, PreaggregatedExposure
from events.store.plans import MultipleVariants, PropertyCondition, Subject
from projects.models import Project
from tests.capturing import Capture, event
from tests.experiments.results.kept_exposures import (
    END,
    START,
    Json,
    aggregate,
    call,
    is_precomputed,
    plan_of,
    same_both_ways,
)
from tests.together import meanwhile

PERSONS = 12


# --- at every moment ---------------------------------------------------------------------------------------------


def some_events(random_: random.Random, count: int) -> list[Json]:
    made = []
    for _ in range(count):
        # Whole half hours, so that rows of one instant are not rare; also before the start and after the end.
        time = START - timedelta(days=1) + timedelta(minutes=30 * random_.randrange(48 * 22))
        who = f"user-{random_.randrange(PERSONS)}"
        if random_.random() < 0.6:
            variant = random_.choice(["control", "test", "test", "third", "false"])
            made.append(call(who, variant, time, internal=random_.random() < 0.2))
        else:
            made.append(event("bought", who, timestamp=time.isoformat()))
    return made


def something_happens(random_: random.Random, project: Project, capture: Capture) -> None:
    chance = random_.random()
    if chance < 0.5:
        capture(*some_events(random_, 5))
    elif chance < 0.65:
        alias, into = (f"user-{number}" for number in random_.sample(range(PERSONS), 2))
        capture(event("$merge_dangerously", into, properties={"alias": alias}))
    elif chance < 0.8:
        person = Person.objects.filter(project=project).order_by("?").first()
        if person is not None:
            person_deletion.delete_events(
                project_id=project.pk, person_ids=[person.uuid], old_person_ids=[], before=datetime.now(UTC)
            )
    else:
        who = f"user-{random_.randrange(PERSONS)}"
        capture(event("seen", who, properties={"$set": {"staff": random_.random() < 0.5}}))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.django_db
def test_sums__random_events_merges_and_deletions__equal_those_of_the_direct_path(
    project: Project,
    capture: Capture,
    seed: int,
) -> None:
    random_ = random.Random(seed)
    not_staff = PropertyCondition(subject=Subject.PERSON, key="staff", operator="is_not", value=True)
    not_internal = PropertyCondition(subject=Subject.EVENT, key="internal", operator="is_not", value=True)
    plan = plan_of(project, test_account_conditions=(not_staff, not_internal) if seed % 2 else ())
    capture(*some_events(random_, 60))
    used = 0
    for _ in range(12):
        something_happens(random_, project, capture)
        if random_.random() < 0.5:
            aggregate(plan)
        used += is_precomputed(plan)
        # What is looked at when the rows are read may be another thing each time.
        same_both_ways(plan)
        same_both_ways(replace(plan, handling=MultipleVariants.FIRST_SEEN, zone="Asia/Kathmandu"))
        same_both_ways(replace(plan, variants=("test", "third"), end=END - timedelta(days=random_.randrange(15))))
    assert used


@pytest.mark.django_db(transaction=True)
def test_sums__while_events_arrive_and_the_job_runs__equal_those_of_the_direct_path(project: Project) -> None:
    plan = plan_of(project)

    def ingest(random_: random.Random) -> None:
        clock = Clock(now=datetime.now(UTC))
        events = [read_event(one, clock=clock) for one in some_events(random_, 4)]
        ingestion.store(project=project, events=events)

    used = 0
    deadline = datetime.now(UTC) + timedelta(seconds=5)
    with meanwhile(ingest, ingest, lambda _: aggregate(plan)):
        while datetime.now(UTC) < deadline:
            same_both_ways(plan)
            used += is_precomputed(plan)
    aggregate(plan)
    rows, *_ = same_both_ways(plan)
    assert len(rows) == PERSONS
    assert is_precomputed(plan)


@pytest.mark.django_db(transaction=True)
def test_aggregate__events_of_the_day_not_committed_yet__are_waited_for(project: Project) -> None:
    plan = plan_of(project)
    clock = Clock(now=datetime.now(UTC))
    events = [read_event(call("ada", "test", START + timedelta(days=2)), clock=clock)]
    stored, go_on = Signal(), Signal()

    def write() -> None:
        with transaction.atomic():
            ingestion.store(project=project, events=events)
            stored.set()
            go_on.wait(30)
        connection.close()

    writer = Thread(target=write)
    writer.start()
    assert stored.wait(30)
    # Longer than the job waits for writers.
    assert aggregate(plan) == 0
    assert not AggregatedDay.objects.exists()
    go_on.set()
    writer.join()
    assert aggregate(plan) == 4
    assert PreaggregatedExposure.objects.count() == 1
    assert not ChangedDay.objects.exists()

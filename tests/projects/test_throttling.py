"""How often keys may ask. Time is not waited for: windows are moved into the past instead."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections

from projects import throttling
from projects.models import Project, RequestCount, User
from projects.throttling import DEFINITIONS, REST, Allowance, spend
from tests.cast import ClientFor, bearer, key_for

PATH = "/api/users/@me/"


@pytest.fixture
def throttled(settings: Any) -> None:
    settings.THROTTLING_ENABLED = True


def set_counts(*, minute: int, hour: int, minute_age: int = 0, hour_age: int = 0) -> None:
    """Let every known counter have spent so much in windows that began so many seconds ago."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE projects_requestcount SET minute_count = %s, hour_count = %s,"
            " minute_started = clock_timestamp() - make_interval(secs => %s),"
            " hour_started = clock_timestamp() - make_interval(secs => %s)",
            [minute, hour, minute_age, hour_age],
        )


@pytest.fixture
def client(throttled: None, member: User, project: Project, client_for: ClientFor) -> Any:
    made = client_for(member)
    assert made.get(PATH).status_code == 200
    return made


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ({"minute": 479, "hour": 479}, 200),
        ({"minute": 480, "hour": 480}, 429),
        ({"minute": 480, "hour": 480, "minute_age": 61, "hour_age": 61}, 200),
        ({"minute": 1, "hour": 4799}, 200),
        ({"minute": 1, "hour": 4800}, 429),
        ({"minute": 480, "hour": 4800, "minute_age": 61, "hour_age": 61}, 429),
        ({"minute": 480, "hour": 4800, "minute_age": 3601, "hour_age": 3601}, 200),
    ],
)
def test_rest__480_a_minute_and_4800_an_hour(client: Any, counts: dict[str, int], status: int):
    set_counts(**counts)

    assert client.get(PATH).status_code == status


def test_refusal__has_the_documented_body_and_header(client: Any):
    set_counts(minute=480, hour=480, minute_age=48)

    answer = client.get(PATH)

    wait = int(answer["Retry-After"])
    assert wait == 12
    assert answer.json() == {
        "type": "throttled_error",
        "code": "throttled",
        "detail": "Request was throttled. Expected available in 12 seconds.",
        "attr": None,
    }
    assert [name for name in answer.headers if name.lower().startswith("x-ratelimit")] == []


def test_refusal__last_second__is_told_in_the_singular(client: Any):
    set_counts(minute=480, hour=480, minute_age=59)

    answer = client.get(PATH)

    assert answer["Retry-After"] == "1"
    assert answer.json()["detail"] == "Request was throttled. Expected available in 1 second."


def test_refusal__both_windows_spent__tells_the_longer_wait(client: Any):
    set_counts(minute=480, hour=4800, minute_age=50, hour_age=3000)

    assert client.get(PATH)["Retry-After"] == "600"


def test_refusal__repeated__does_not_lengthen_the_wait(client: Any):
    set_counts(minute=480, hour=480, minute_age=30)

    waits = [int(client.get(PATH)["Retry-After"]) for _ in range(3)]

    assert max(waits) <= 30
    assert RequestCount.objects.values_list("minute_count", "hour_count").get() == (480, 480)


def test_count__is_per_key_and_over_all_routes(client: Any, member: User, client_for: ClientFor):
    set_counts(minute=480, hour=480)

    assert client.get("/api/projects/@current/experiments/").status_code == 429
    assert client.get("/api/organizations/").status_code == 429
    assert client_for(member).get(PATH).status_code == 200


def test_sessions__are_not_counted(throttled: None, member: User, project: Project, session_for: Callable[[User], Any]):
    client = session_for(member)

    assert {client.get(PATH).status_code for _ in range(3)} == {200}
    assert not RequestCount.objects.exists()


def test_switched_off__nothing_is_counted(settings: Any, member: User, project: Project, client_for: ClientFor):
    settings.THROTTLING_ENABLED = False

    assert client_for(member).get(PATH).status_code == 200
    assert not RequestCount.objects.exists()


def test_rolled_key__keeps_its_count(client: Any, member: User):
    from projects.personal_keys import roll_personal_api_key

    set_counts(minute=480, hour=480)

    _, value = roll_personal_api_key(key=member.personal_api_keys.get())

    assert bearer(value).get(PATH).status_code == 429


def test_spend__allowances__are_counted_apart(db: None):
    assert [spend(allowance=REST, key_id="k"), spend(allowance=DEFINITIONS, key_id="k")] == [None, None]

    assert sorted(RequestCount.objects.values_list("counter", "minute_count")) == [("definitions:k", 1), ("rest:k", 1)]


def test_spend__definitions__600_a_minute_and_no_hourly_limit(db: None):
    spend(allowance=DEFINITIONS, key_id="k")
    set_counts(minute=599, hour=1_000_000)

    assert spend(allowance=DEFINITIONS, key_id="k") is None
    wait = spend(allowance=DEFINITIONS, key_id="k")
    assert wait is not None
    assert 1 <= wait <= 60


def test_spend__new_minute__starts_its_count_and_keeps_the_hour(db: None):
    spend(allowance=REST, key_id="k")
    set_counts(minute=400, hour=900, minute_age=61, hour_age=300)

    spend(allowance=REST, key_id="k")

    assert RequestCount.objects.values_list("minute_count", "hour_count").get() == (1, 901)


def test_forget__ended_windows_only(db: None):
    spend(allowance=REST, key_id="old")
    set_counts(minute=1, hour=1, minute_age=3601, hour_age=3601)
    spend(allowance=REST, key_id="new")

    assert throttling.forget_ended_windows() == 1
    assert RequestCount.objects.values_list("counter", flat=True).get() == "rest:new"


@pytest.mark.django_db(transaction=True)
def test_spend__many_at_once__admits_exactly_the_allowance():
    few = Allowance(name="few", per_minute=20)
    waits: list[int | None] = []

    def ask() -> None:
        try:
            waits.extend(spend(allowance=few, key_id="k") for _ in range(10))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert waits.count(None) == 20
    assert len(waits) == 40


def test_key_for__another_process__shares_the_count(client: Any, member: User):
    """The count is a row, not memory: a value found by its hash in any process leads to the same one."""
    set_counts(minute=10, hour=10)
    client.get(PATH)

    assert RequestCount.objects.get().minute_count == 11
    assert RequestCount.objects.get().counter == f"rest:{member.personal_api_keys.get().pk}"
    assert key_for(member) not in str(RequestCount.objects.values().get())

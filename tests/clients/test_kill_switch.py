"""A flag that is switched off is off for every client within a second, whichever process of the service answers."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import live_service
from tests.clients.conftest import Program, Shop, open_shop
from tests.live_service import LiveService

FLAG = "beta-search-rollout"
SECONDS_BEFORE, SECONDS_AFTER = 1.0, 2.0


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """The service with two processes that answer requests."""
    data_dir: Path = tmp_path_factory.mktemp("two") / "data"
    with live_service.running(data_dir, WEB_WORKERS="2") as started:
        yield started


@pytest.fixture(params=[1, 2], ids=["one process", "two processes"])
def stocked(request: pytest.FixtureRequest) -> Shop:
    """A shop of the test's own."""
    return open_shop(request.getfixturevalue("service" if request.param == 1 else "two_processes"))


def test_flag_switched_off__is_off_within_a_second(program: Program, stocked: Shop) -> None:
    switched: list[float] = []

    def switch_off() -> None:
        # Once the client has seen it on for a while.
        deadline = time.monotonic() + 30
        while len(stocked.statuses_of("/flags/")) < 20 and time.monotonic() < deadline:
            time.sleep(0.05)
        stocked.call("POST", f"feature_flags/{stocked.flag_ids[FLAG]}/disable/", {})
        switched.append(time.time())

    other = threading.Thread(target=switch_off)
    other.start()
    asked = {"flag": FLAG, "id": "user-61", "seconds_after": SECONDS_AFTER, "seconds": 60}
    seen = program.run(stocked, "watch", asked)
    other.join()
    before = [one["value"] for one in seen if one["answered"] < switched[0] - SECONDS_BEFORE]
    after = [one["value"] for one in seen if one["asked"] > switched[0] + 1]
    assert len(after) > 10
    assert set(before) <= {True}
    assert seen[0]["value"] is True
    assert set(after) == {None}


def test_flag_switched_off_and_on__every_process_follows(two_processes: LiveService) -> None:
    shop = open_shop(two_processes)
    body = {"token": shop.token, "distinct_id": "user-61", "flag_keys_to_evaluate": [FLAG]}

    def values() -> set[bool]:
        """What twenty connections are told; they reach both processes."""
        answers = [httpx.post(f"{shop.base_url}/flags/?v=2", json=body).json()["flags"] for _ in range(20)]
        return {FLAG in answer for answer in answers}

    for act, expected in (("disable", False), ("enable", True)) * 3:
        shop.call("POST", f"feature_flags/{shop.flag_ids[FLAG]}/{act}/", {})
        time.sleep(1)
        assert values() == {expected}

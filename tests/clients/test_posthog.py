"""Unmodified posthog-python and posthog-node against the running service."""

import json
import threading
import time
from typing import Any
from uuid import uuid4

import pytest

from tests.clients.conftest import SERIES, Program, Shop
from tests.feature_flags.evaluation.cases import EVERYBODY, answer, flag, project, subject

ENTERPRISE = {"plan": "enterprise"}


def question(name: str, flag_key: str, who: str, **about: Any) -> dict[str, Any]:
    return {"name": name, "flag": flag_key, "id": who, **about}


def questions(shop: Shop) -> list[tuple[dict[str, Any], Any, Any]]:
    """What is asked, with the value and the payload that are to come back."""
    company = {"groups": {"company": "org-9"}, "group_properties": {"company": {}}}
    other = {"groups": {"company": "org-12"}, "group_properties": {"company": {}}}
    free = {"person_properties": {"plan": "free"}}
    asked = [
        (question("in rollout", "beta-search-rollout", "user-61"), True, None),
        (question("out of rollout", "beta-search-rollout", "user-105"), False, None),
        (question("layout 61", "checkout-layout", "user-61", **free), "compact", {"density": "compact"}),
        (question("layout 17", "checkout-layout", "user-17", **free), "control", None),
        (
            question("enterprise", "checkout-layout", "user-17", person_properties=ENTERPRISE),
            "spacious",
            None,
        ),
        (question("held out", "checkout-experiment", "user-31"), f"holdout-{shop.holdout_id}", None),
        (question("in test", "checkout-experiment", "user-77"), "test", None),
        (question("company in", "org-dashboard", "user-61", **company), True, None),
        (question("company out", "org-dashboard", "user-61", **other), False, None),
        (question("no company", "org-dashboard", "user-61"), False, None),
        (question("dependency", "needs-layout", "user-61", **free), True, None),
    ]
    for series in SERIES:
        key, prefix = series["flag_key"], series["id_prefix"]
        for position, value in enumerate(series["expected"]):
            asked.append((question(f"{key} {position}", key, f"{prefix}{position}"), value, None))
    return asked


def test_remote__gives_the_documented_answers(program: Program, shop: Shop) -> None:
    asked = questions(shop)
    seen = program.sees(shop, "remote", [one for one, _, _ in asked])
    for one, value, payload in asked:
        assert (one["name"], seen[one["name"]]) == (one["name"], {"value": value, "payload": payload})
    everything = seen["all"]["value"]
    assert everything.keys() == shop.flag_ids.keys() - {"off-flag"}
    assert (everything["beta-search-rollout"], everything["checkout-layout"]) == (True, "compact")
    if program.name == "python":
        assert seen["snapshot"]["value"] == everything
    else:
        assert seen["enabled"]["value"] is True


@pytest.mark.parametrize("credential", ["secret", "personal_key"])
def test_local__gives_the_same_answers(program: Program, shop: Shop, credential: str) -> None:
    asked = questions(shop)
    off = question("off", "off-flag", "user-61")
    seen = program.sees(shop, "local", [*(one for one, _, _ in asked), off], secret=getattr(shop, credential))
    for one, value, payload in asked:
        assert (one["name"], seen[one["name"]]) == (one["name"], {"value": value, "payload": payload})
    assert seen["off"]["value"] is False


def test_off_flag__asked_remotely__is_unknown(program: Program, shop: Shop) -> None:
    seen = program.sees(shop, "remote", [question("off", "off-flag", "user-61")])
    assert seen["off"]["value"] is None


def test_thousand_ids__local_remote_and_evaluator_agree(program: Program, shop: Shop) -> None:
    ids = [f"parity-{number}" for number in range(1000)]
    keys = [series["flag_key"] for series in SERIES]
    definitions = project(
        flag(
            series["flag_key"],
            number,
            groups=[EVERYBODY | {"rollout_percentage": series["rollout_percentage"]}],
            multivariate={"variants": series["variants"]} if series["variants"] else None,
        )
        for number, series in enumerate(SERIES, start=1)
    )
    seen = program.sees(shop, "parity", {"flags": keys, "ids": ids})
    assert len(seen) == 2000
    for key in keys:
        for distinct_id in ids:
            evaluation = answer(definitions, key, subject(distinct_id))
            assert evaluation is not None
            both = seen[f"{key} {distinct_id}"]
            assert (key, distinct_id, both["local"], both["remote"]) == (
                key,
                distinct_id,
                evaluation.value,
                evaluation.value,
            )


def test_polling__costs_nothing_until_something_changes(program: Program, own_shop: Shop) -> None:
    route = "/flags/definitions/"
    asked = {"flag": "beta-search-rollout", "id": "user-105", "until": True, "seconds": 15}

    def widen_after_three_polls() -> None:
        deadline = time.monotonic() + 10
        while len(own_shop.statuses_of(route)) < 3 and time.monotonic() < deadline:
            time.sleep(0.1)
        everybody = [{"properties": [], "rollout_percentage": 100}]
        flag_id = own_shop.flag_ids["beta-search-rollout"]
        own_shop.call("PATCH", f"feature_flags/{flag_id}/", {"filters": {"groups": everybody}})

    other = threading.Thread(target=widen_after_three_polls)
    other.start()
    seen = program.run(own_shop, "poll", asked)
    other.join()
    assert [one["value"] for one in seen] == [False, True]
    statuses = own_shop.statuses_of(route)
    assert statuses[:3] == [200, 304, 304]
    assert statuses.count(200) == 2


def test_kill_switch__is_seen_by_the_very_next_question(program: Program, own_shop: Shop) -> None:
    flag_id = own_shop.flag_ids["beta-search-rollout"]
    url = f"{own_shop.base_url}/api/projects/{own_shop.project_id}/feature_flags/{flag_id}/"
    asked = {"flag": "beta-search-rollout", "id": "user-61", "url": url, "key": own_shop.personal_key}
    seen = program.sees(own_shop, "kill_switch", asked)
    assert seen["before"] == {"local": True, "remote": True}
    # Remotely an inactive flag is as unknown as one that never was.
    assert seen["after"] == {"local": False, "remote": None}


@pytest.mark.parametrize("gzip", [False, True])
def test_events__are_stored_with_persons_and_groups(program: Program, shop: Shop, gzip: bool) -> None:
    who, number = f"buyer-{uuid4().hex[:8]}", str(uuid4())
    timestamp = "2026-01-15T12:00:00Z"
    program.run(shop, "events", {"id": who, "uuid": number, "timestamp": timestamp, "gzip": gzip})

    found = shop.call("GET", "persons/", distinct_id=who)["results"]
    assert len(found) == 1
    person = found[0]
    assert set(person["distinct_ids"]) == {who, f"{who}-alias"}
    assert person["properties"].items() >= {("plan", "pro"), ("source", "advert")}
    stored = shop.call("GET", "events/", person_id=person["uuid"], limit=100)["results"]
    names = [event["event"] for event in stored]
    assert names.count("opened") == 1
    assert names.count("repeated") == 1
    opened = next(event for event in stored if event["event"] == "opened")
    assert opened["properties"]["$groups"] == {"company": "acme"}
    assert opened["properties"]["page"] == "start"
    repeated = next(event for event in stored if event["event"] == "repeated")
    assert repeated["id"] == number
    if program.name == "python":
        bought = next(event for event in stored if event["event"] == "bought")["properties"]
        assert "$feature/beta-search-rollout" in bought
        assert "$active_feature_flags" in bought
    group = shop.call("GET", "groups/find/", group_type_index=0, group_key="acme")
    assert group["group_properties"]["tier"] == "gold"


def test_exposure__is_one_event_for_each_answer(program: Program, own_shop: Shop) -> None:
    flag_key, held_out = "checkout-experiment", f"holdout-{own_shop.holdout_id}"
    asked = [{"flag": flag_key, "id": "user-77"}, {"flag": flag_key, "id": "user-31"}]
    seen = program.sees(own_shop, "exposure", asked)
    assert {who: one["value"] for who, one in seen.items()} == {"user-77": "test", "user-31": held_out}
    events = own_shop.call("GET", "events/", event="$feature_flag_called")["results"]
    assert sorted((event["distinct_id"], event["properties"]["$feature_flag_response"]) for event in events) == [
        ("user-31", held_out),
        ("user-77", "test"),
    ]
    for event in events:
        assert event["properties"]["$feature_flag"] == flag_key
        assert event["properties"]["$feature_flag_has_experiment"] is True
    assert own_shop.exposures() == {"test": 1}
    # Whoever met the flag is in the cohort, whatever it answered.
    assert own_shop.exposed_persons() == [{"user-31"}, {"user-77"}]


def test_remote_config__is_delivered(program: Program, shop: Shop) -> None:
    payload = program.sees(shop, "remote_config", json.dumps("my-config"))["payload"]["value"]
    assert payload == ('{"a":1}' if program.name == "python" else {"a": 1})


def test_wrong_keys__reach_no_caller_as_an_exception(program: Program, shop: Shop) -> None:
    seen = program.sees(shop, "failures", {"flag": "beta-search-rollout", "config": "my-config"})
    assert seen["flag"]["value"] is None
    assert not seen["all"]["value"]
    assert seen["local"]["value"] is None
    if program.name == "python":
        assert seen["payload"]["value"] is None
    else:
        assert seen["ready"]["value"] is False
        # This library hands the body of an error back.
        assert seen["payload"]["value"]["code"] == "authentication_failed"

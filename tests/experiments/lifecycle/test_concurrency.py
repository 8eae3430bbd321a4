"""Two requests at the same moment, on real rows and real threads: one outcome of two, and never a deadlock.

A deadlock, or any other failure of a thread, fails the test; so does a round that takes too long.
"""

from collections import Counter
from typing import Any

import pytest

from activity.models import ActivityEntry
from experiments.models import Experiment
from feature_flags.models import FeatureFlag
from tests.together import Caller, Send, Together, details, statuses

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = {
    "two launches": 75,
    "launch and delete": 75,
    "ship and flag PATCH": 75,
    "two PATCHes with one ETag": 75,
    "holdout PATCH and experiment PATCH": 50,
    "holdout PATCH and flag switch": 50,
    "PATCHes of two experiments on one flag": 50,
    "two creates with one key": 25,
    "duplicate and flag deletion": 25,
}
VARIANTS = [{"key": "control", "rollout_percentage": 50}, {"key": "test", "rollout_percentage": 50}]
OPEN = {"properties": [], "rollout_percentage": 100}

Json = dict[str, Any]


def test_rounds__in_total__are_500() -> None:
    assert sum(ROUNDS.values()) == 500


def test_launch__twice_at_once__succeeds_once(caller: Caller, together: Together) -> None:
    experiment = caller.experiment()
    path = f"experiments/{experiment['id']}/launch/"
    rows, flags = Experiment.objects.all(), FeatureFlag.objects.all()
    for number in range(ROUNDS["two launches"]):
        rows.update(start_date=None, status="draft")
        flags.update(active=False, version=1)
        ActivityEntry.objects.all().delete()
        answers = together(lambda: caller.send("POST", path), lambda: caller.send("POST", path))
        assert sorted(statuses(answers)) == [200, 400], number
        assert details(answers) == {"Experiment has already been launched."}
        assert flags.get().version == 2
        assert sorted(ActivityEntry.objects.values_list("scope", flat=True)) == ["Experiment", "FeatureFlag"]


def test_launch__while_deleted__finds_it_or_does_not(caller: Caller, together: Together) -> None:
    experiment = caller.experiment()
    path = f"experiments/{experiment['id']}/"
    rows, flags = Experiment.objects.all(), FeatureFlag.objects.all()
    outcomes: Counter[int] = Counter()
    for _ in range(ROUNDS["launch and delete"]):
        rows.update(start_date=None, status="draft", deleted=False)
        flags.update(active=False)
        launch, delete = together(
            lambda: caller.send("POST", f"{path}launch/"), lambda: caller.send("PATCH", path, {"deleted": True})
        )
        outcomes[launch.status_code] += 1
        assert delete.status_code == 200
        left = rows.get()
        assert left.deleted
        launched = launch.status_code == 200
        assert (left.start_date is not None, flags.get().active) == (launched, launched)
    assert outcomes[200] + outcomes[404] == ROUNDS["launch and delete"]


def test_ship__while_its_flag_changes__keeps_both(caller: Caller, together: Together) -> None:
    experiment = caller.experiment(start_date="2026-01-01")
    ship, flag_path = (
        f"experiments/{experiment['id']}/ship_variant/",
        f"feature_flags/{experiment['feature_flag']['id']}/",
    )
    rows, flags = Experiment.objects.all(), FeatureFlag.objects.all()
    original = flags.get().filters
    for number in range(ROUNDS["ship and flag PATCH"]):
        rows.update(end_date=None, status="running")
        flags.update(filters=original, version=1, name="")
        answers = together(
            lambda: caller.send("POST", ship, {"variant_key": "test"}),
            lambda: caller.send("PATCH", flag_path, {"name": "Renamed", "filters": {"payloads": {"test": "1"}}}),
        )
        assert statuses(answers) == (200, 200), number
        left, flag = rows.get(), flags.get()
        assert (left.status, flag.name, flag.version) == ("stopped", "Renamed", 3)
        assert flag.filters["payloads"] == {"test": "1"}
        assert [variant["rollout_percentage"] for variant in flag.filters["multivariate"]["variants"]] == [0, 100]
        assert left.parameters["feature_flag_variants"] == flag.filters["multivariate"]["variants"]


def test_patch__twice_with_one_etag__succeeds_once(caller: Caller, together: Together) -> None:
    path = f"experiments/{caller.experiment()['id']}/"
    for number in range(ROUNDS["two PATCHes with one ETag"]):
        etag = caller.send("GET", path)["ETag"]

        def patch(name: str, etag: str = etag) -> Send:
            return lambda: caller.send("PATCH", path, {"name": name}, if_match=etag)

        answers = together(patch(f"{number} left"), patch(f"{number} right"))
        assert sorted(statuses(answers)) == [200, 412], number
        assert details(answers) == {"The experiment was changed since you read it. Fetch it again and retry."}
        won = next(answer for answer in answers if answer.status_code == 200)
        assert caller.send("GET", path).json()["name"] == won.json()["name"]


def test_holdout__changed_while_an_experiment_takes_it__reaches_its_flag(caller: Caller, together: Together) -> None:
    holdout = caller.made("experiment_holdouts/", {"name": "All", "filters": [{"rollout_percentage": 1}]})
    experiment = caller.experiment()
    path, flags = f"experiments/{experiment['id']}/", FeatureFlag.objects.all()
    for number in range(ROUNDS["holdout PATCH and experiment PATCH"]):
        body = {"filters": [{"rollout_percentage": 2 + number % 2}]}
        taken = None if number % 5 == 4 else holdout["id"]
        answers = together(
            lambda body=body: caller.send("PATCH", f"experiment_holdouts/{holdout['id']}/", body),
            lambda taken=taken: caller.send("PATCH", path, {"holdout_id": taken}),
        )
        assert statuses(answers) == (200, 200), number
        part = taken and {"id": holdout["id"], "exclusion_percentage": 2 + number % 2}
        assert flags.get().filters["holdout"] == part


def test_holdout__reaching_two_flags__lets_a_switch_of_the_second_through(caller: Caller, together: Together) -> None:
    needed = caller.made("feature_flags/", {"key": "needed", "filters": {"groups": [OPEN]}})
    on_needed = {"type": "flag", "key": str(needed["id"]), "operator": "flag_evaluates_to", "value": True}
    holdout = caller.made("experiment_holdouts/", {"name": "All", "filters": [{"rollout_percentage": 1}]})
    second: Json = {}
    for key in ("first", "second"):
        second = caller.experiment(feature_flag_key=key, holdout_id=holdout["id"])["feature_flag"]
        dependent = {"filters": {"groups": [{**OPEN, "properties": [on_needed]}]}}
        assert caller.send("PATCH", f"feature_flags/{second['id']}/", dependent).status_code == 200
    for number in range(ROUNDS["holdout PATCH and flag switch"]):
        body = {"filters": [{"rollout_percentage": 2 + number % 2}]}
        act = "disable" if number % 2 else "enable"
        answers = together(
            lambda body=body: caller.send("PATCH", f"experiment_holdouts/{holdout['id']}/", body),
            lambda act=act: caller.send("POST", f"feature_flags/{second['id']}/{act}/"),
        )
        assert statuses(answers) == (200, 200), number
        flag = FeatureFlag.objects.get(pk=second["id"])
        assert (flag.filters["holdout"]["exclusion_percentage"], flag.active) == (2 + number % 2, act == "enable")


def test_patch__two_experiments_on_one_flag__both_follow_the_later_one(caller: Caller, together: Together) -> None:
    paths = [f"experiments/{caller.experiment(name=name)['id']}/" for name in ("First", "Second")]

    def weigh(path: str, share: int) -> Send:
        shares = {"control": share, "test": 100 - share}
        listed = [{"key": key, "rollout_percentage": value} for key, value in shares.items()]
        return lambda: caller.send("PATCH", path, {"parameters": {"feature_flag_variants": listed}})

    for number in range(ROUNDS["PATCHes of two experiments on one flag"]):
        version = FeatureFlag.objects.get().version
        answers = together(weigh(paths[0], 1 + number), weigh(paths[1], 99 - number))
        assert statuses(answers) == (200, 200), number
        flag = FeatureFlag.objects.get()
        # In the middle both want the same.
        assert flag.version == version + (1 if number == 49 else 2)
        kept = [experiment.parameters["feature_flag_variants"] for experiment in Experiment.objects.all()]
        assert kept == [flag.filters["multivariate"]["variants"]] * 2


def test_create__twice_with_one_new_key__makes_one_flag(caller: Caller, together: Together) -> None:
    for number in range(ROUNDS["two creates with one key"]):
        body = {"name": "Cart", "feature_flag_key": f"cart-{number}"}
        answers = together(
            lambda body=body: caller.send("POST", "experiments/", body),
            lambda body=body: caller.send("POST", "experiments/", body),
        )
        assert statuses(answers) == (201, 201), number
        first, second = (answer.json() for answer in answers)
        assert first["id"] != second["id"]
        assert first["feature_flag"]["id"] == second["feature_flag"]["id"]


def test_duplicate__while_its_flag_is_deleted__shares_a_live_flag_or_is_refused(
    caller: Caller, together: Together
) -> None:
    experiment = caller.experiment(start_date="2026-01-01", end_date="2026-02-01")
    flag_path = f"feature_flags/{experiment['feature_flag']['id']}/"
    flags, copies = FeatureFlag.objects.all(), Experiment.objects.exclude(pk=experiment["id"])
    outcomes: Counter[tuple[int, ...]] = Counter()
    for _ in range(ROUNDS["duplicate and flag deletion"]):
        copies.delete()
        flags.update(deleted=False, key="cart")
        answers = together(
            lambda: caller.send("POST", f"experiments/{experiment['id']}/duplicate/", {}),
            lambda: caller.send("PATCH", flag_path, {"deleted": True}),
        )
        outcomes[statuses(answers)] += 1
        # The draft that was made needs the flag, which therefore stays.
        assert (copies.count(), flags.get().deleted) in {(1, False), (0, True)}
    assert outcomes[200, 400] + outcomes[400, 200] == ROUNDS["duplicate and flag deletion"]

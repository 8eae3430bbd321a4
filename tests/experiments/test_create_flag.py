"""The flag of a new experiment: created, or the live one of that key linked as it is."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from experiments.models import Experiment, ExperimentHoldout
from feature_flags.models import FeatureFlag
from projects.models import Project
from tests.experiments.conftest import STARTED, Experiments, activity_of, everything, flag_of, variants

MakeFlag = Callable[..., FeatureFlag]
MakeHoldout = Callable[..., ExperimentHoldout]
DEFAULT_VARIANTS = [
    {"key": "control", "name": "Control Group", "rollout_percentage": 50},
    {"key": "test", "name": "Test Variant", "rollout_percentage": 50},
]


# A new flag


def test_create__new_key__makes_the_flag_of_the_experiment(experiments: Experiments) -> None:
    flag = flag_of(experiments.made())

    assert (flag.key, flag.name) == ("blue-button", "Feature Flag for Experiment Blue button")
    assert (flag.active, flag.version, flag.ensure_experience_continuity, flag.deleted) == (False, 1, False, False)
    assert flag.filters == {
        "groups": [{"properties": [], "rollout_percentage": 100}],
        "multivariate": {"variants": DEFAULT_VARIANTS},
        "aggregation_group_type_index": None,
        "holdout": None,
    }


def test_create__new_flag__is_shown_minimal(experiments: Experiments, project: Project) -> None:
    made = experiments.made()
    flag = flag_of(made)

    assert made["feature_flag"] == {
        "id": flag.pk,
        "team_id": project.pk,
        "name": "Feature Flag for Experiment Blue button",
        "key": "blue-button",
        "filters": flag.filters,
        "deleted": False,
        "active": False,
        "ensure_experience_continuity": False,
        "has_encrypted_payloads": False,
        "version": 1,
        "evaluation_runtime": "all",
        "bucketing_identifier": "distinct_id",
        "evaluation_contexts": [],
    }


def test_create__launched__makes_an_active_flag(experiments: Experiments) -> None:
    assert flag_of(experiments.made(start_date=STARTED)).active is True


def test_create__parameters__configure_the_new_flag(experiments: Experiments) -> None:
    flag = flag_of(
        experiments.made(
            parameters={
                "feature_flag_variants": variants(20, 30, 50),
                "rollout_percentage": 12.5,
                "aggregation_group_type_index": 1,
                "ensure_experience_continuity": True,
                "feature_flag_payloads": {"test": '{"color": "blue"}', "third": {"a": [1.0]}, "control": None},
            }
        )
    )

    assert flag.ensure_experience_continuity is True
    assert flag.filters == {
        "groups": [{"properties": [], "rollout_percentage": 12.5, "aggregation_group_type_index": 1}],
        "multivariate": {"variants": variants(20, 30, 50)},
        "aggregation_group_type_index": 1,
        "holdout": None,
        "payloads": {"test": '{"color": "blue"}', "third": '{"a":[1.0]}', "control": "null"},
    }


@pytest.mark.parametrize("rollout", [None, 100])
def test_create__rollout_null__is_everybody(experiments: Experiments, rollout: int | None) -> None:
    flag = flag_of(experiments.made(parameters={"rollout_percentage": rollout}))

    assert flag.filters["groups"] == [{"properties": [], "rollout_percentage": 100}]


def test_create__rollout_of_nobody__is_kept(experiments: Experiments) -> None:
    flag = flag_of(experiments.made(parameters={"rollout_percentage": 0}))

    assert flag.filters["groups"][0]["rollout_percentage"] == 0


@pytest.mark.parametrize(
    ("default", "sent", "kept"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"ensure_experience_continuity": False}, False),
        (True, {"ensure_experience_continuity": None}, True),
    ],
)
def test_create__continuity__is_as_given_else_the_projects_default(
    experiments: Experiments, project: Project, default: bool, sent: dict[str, Any], kept: bool
) -> None:
    project.flags_persistence_default = default
    project.save()

    assert flag_of(experiments.made(parameters=sent)).ensure_experience_continuity is kept


@pytest.mark.parametrize("percentage", [0, 12.5, 100])
def test_create__holdout__is_written_into_the_new_flag(
    experiments: Experiments, holdout: MakeHoldout, percentage: float
) -> None:
    kept_out = holdout(percentage)
    made = experiments.made(holdout_id=kept_out.pk)

    assert flag_of(made).filters["holdout"] == {"id": kept_out.pk, "exclusion_percentage": percentage}
    assert made["holdout_id"] == kept_out.pk
    assert made["holdout"]["name"] == "Never shown"
    assert made["holdout"]["filters"] == kept_out.filters


def test_create__holdout_id_as_text__is_taken(experiments: Experiments, holdout: MakeHoldout) -> None:
    kept_out = holdout()

    assert experiments.made(holdout_id=str(kept_out.pk))["holdout_id"] == kept_out.pk


def test_create__with_the_longest_name__makes_the_flag(experiments: Experiments) -> None:
    assert flag_of(experiments.made(name="n" * 400)).name == "Feature Flag for Experiment " + "n" * 400


def test_create__history__tells_of_flag_and_experiment(experiments: Experiments) -> None:
    made = experiments.made()

    assert [entry.activity for entry in activity_of(made, scope="FeatureFlag")] == ["created"]
    assert [entry.activity for entry in activity_of(made)] == ["created"]


# Refusals of the new flag

SUM = "Invalid variant definitions: Variant rollout percentages must sum to 100."


@pytest.mark.parametrize(
    ("fields", "detail", "attr", "code"),
    [
        (
            {"feature_flag_key": "with blank"},
            "Only letters, numbers, hyphens (-) & underscores (_) are allowed.",
            *("key", "invalid_key"),
        ),
        (
            {"feature_flag_key": "k" * 401},
            "Ensure this field has no more than 400 characters.",
            *("key", "max_length"),
        ),
        ({"parameters": {"feature_flag_variants": variants(50, 49.98)}}, SUM, "filters", "invalid_input"),
        ({"parameters": {"feature_flag_variants": variants(50, 60)}}, SUM, "filters", "invalid_input"),
        (
            {"parameters": {"feature_flag_variants": variants(50, 50, keys=("control", "te st"))}},
            "Only letters, numbers, hyphens (-), underscores (_), dots (.) & slashes (/) are allowed.",
            *("filters", "invalid_input"),
        ),
        (
            {"parameters": {"feature_flag_variants": variants(50, 25, 25, keys=("control", "test", "test"))}},
            "Variant keys must be unique, duplicated: test",
            *("filters", "invalid_input"),
        ),
        (
            {"parameters": {"feature_flag_payloads": {"nobody": "1"}}},
            "Payload key 'nobody' does not match any variant key.",
            *("filters", "invalid_input"),
        ),
        (
            {"parameters": {"feature_flag_payloads": {"test": "{"}}},
            "Payload for key 'test' is not valid JSON.",
            *("filters", "invalid_input"),
        ),
    ],
    ids=lambda value: str(value)[:50],
)
def test_create__flag_refused__is_told_and_nothing_is_left(
    experiments: Experiments, fields: dict[str, Any], detail: str, attr: str, code: str
) -> None:
    before = everything()

    experiments.refused(experiments.try_new(**fields), detail, attr=attr, code=code)
    assert everything() == before


@pytest.mark.parametrize("weights", [(33.33, 33.33, 33.33), (50, 50.01), (0, 100)])
def test_create__weights_within_a_hundredth__are_taken(experiments: Experiments, weights: tuple[float, ...]) -> None:
    made = experiments.made(parameters={"feature_flag_variants": variants(*weights)})

    assert flag_of(made).filters["multivariate"]["variants"] == variants(*weights)


# Keys of deleted flags


def test_create__key_of_a_deleted_flag__makes_a_new_one(
    experiments: Experiments, flag: MakeFlag, owner_api: APIClient
) -> None:
    gone = flag()
    owner_api.patch(f"/api/projects/{experiments.project.pk}/feature_flags/{gone.pk}/", {"deleted": True})
    made = experiments.made()

    assert made["feature_flag"]["id"] != gone.pk
    assert FeatureFlag.objects.filter(pk=gone.pk).exists() is False  # no experiment needed it


def test_create__key_of_a_deleted_flag_with_a_stopped_experiment__leaves_that_one_its_flag(
    experiments: Experiments, owner_api: APIClient
) -> None:
    stopped = experiments.made(start_date=STARTED, end_date="2026-02-01")
    url = f"/api/projects/{experiments.project.pk}/feature_flags/{stopped['feature_flag']['id']}/"
    assert owner_api.patch(url, {"deleted": True}).status_code == 200
    made = experiments.made()

    assert made["feature_flag"]["id"] != stopped["feature_flag"]["id"]
    assert experiments.read(stopped["id"])["feature_flag_key"] == "blue-button"
    assert experiments.read(stopped["id"])["feature_flag"]["key"] == f"blue-button:deleted:{flag_of(stopped).pk}"


def test_create__key_of_a_deleted_flag_that_a_draft_needs__is_refused(experiments: Experiments, flag: MakeFlag) -> None:
    # As it can only be after a reset: a stopped experiment's flag was deleted, then the experiment reset.
    draft = experiments.made()
    FeatureFlag.objects.filter(pk=flag_of(draft).pk).update(deleted=True)

    experiments.refused(
        experiments.try_new(),
        "Cannot reuse key 'blue-button': a soft-deleted flag with this key is still referenced by active "
        f"experiment(s) with ID(s): {draft['id']}",
        attr="key",
    )


# A live flag


def test_create__key_of_a_live_flag__links_it_as_it_is(
    experiments: Experiments, flag: MakeFlag, holdout: MakeHoldout
) -> None:
    live = flag(
        weights=(10, 90),
        filters={"payloads": {"test": "1"}},
        active=True,
        name="Mine",
        ensure_experience_continuity=True,
    )
    before = everything()["FeatureFlag"]
    made = experiments.made(
        holdout_id=holdout().pk,
        parameters={
            "feature_flag_variants": variants(50, 50, keys=("control", "other")),
            "rollout_percentage": 5,
            "aggregation_group_type_index": 2,
            "feature_flag_payloads": {"other": "2"},
            "ensure_experience_continuity": False,
            "own": 1,
        },
    )

    assert made["feature_flag"]["id"] == live.pk
    assert everything()["FeatureFlag"] == before
    assert activity_of(made, scope="FeatureFlag")[1:] == []
    shown = made["parameters"]
    assert shown["feature_flag_variants"] == [
        {"key": "control", "rollout_percentage": 10, "split_percent": 10},
        {"key": "test", "rollout_percentage": 90, "split_percent": 90},
    ]
    assert shown["own"] == 1
    assert (made["holdout"]["name"], made["feature_flag"]["filters"].get("holdout")) == ("Never shown", None)


@pytest.mark.parametrize("active", [True, False])
def test_create__launched_on_a_live_flag__leaves_it_as_it_is(
    experiments: Experiments, flag: MakeFlag, active: bool
) -> None:
    live = flag(active=active)
    made = experiments.made(start_date=STARTED)
    live.refresh_from_db()

    assert (live.active, live.version) == (active, 1)
    assert made["status"] == ("running" if active else "paused")


def test_create__two_experiments__may_share_a_flag(experiments: Experiments) -> None:
    first, second = experiments.made(), experiments.made(name="Second")

    assert first["feature_flag"]["id"] == second["feature_flag"]["id"]
    assert FeatureFlag.objects.count() == 1


def test_create__control_at_any_place__is_enough(experiments: Experiments, flag: MakeFlag) -> None:
    flag(filters={"multivariate": {"variants": variants(50, 50, keys=("test", "control"))}})

    assert experiments.made()["parameters"]["feature_flag_variants"][1]["key"] == "control"


TOO_FEW = "Feature flag must have at least 2 variants (control and at least one test variant)"
UNFIT: list[tuple[Any, str]] = [
    (None, TOO_FEW),
    ({"variants": variants(100)}, TOO_FEW),
    ({"variants": variants(100, keys=("test",))}, TOO_FEW),
    (
        {"variants": variants(50, 50, keys=("Control", "test"))},
        "Feature flag must have a variant with key 'control'",
    ),
    (
        {
            "variants": [{"key": "control", "rollout_percentage": 0}]
            + [{"key": f"v{n}", "rollout_percentage": 5} for n in range(20)]
        },
        "Feature flag variants must be less than 21",
    ),
]


@pytest.mark.parametrize(("multivariate", "detail"), UNFIT, ids=lambda value: str(value)[:40])
def test_create__unfit_live_flag__is_refused(
    experiments: Experiments, flag: MakeFlag, multivariate: Any, detail: str
) -> None:
    flag(filters={"multivariate": multivariate})
    before = everything()

    experiments.refused(experiments.try_new(), detail)
    assert everything() == before


def test_create__twenty_variants__are_enough(experiments: Experiments, flag: MakeFlag) -> None:
    names = ["control", *(f"v{n}" for n in range(19))]
    flag(filters={"multivariate": {"variants": [{"key": key, "rollout_percentage": 5} for key in names]}})

    assert len(experiments.made()["parameters"]["feature_flag_variants"]) == 20


def test_create__baseline_and_exclusions__are_judged_by_the_flags_variants(
    experiments: Experiments, flag: MakeFlag
) -> None:
    flag(weights=(20, 30, 50))
    sent = variants(50, 50, keys=("control", "sent"))

    experiments.refused(
        experiments.try_new(parameters={"feature_flag_variants": sent}, stats_config={"baseline_variant_key": "sent"}),
        "Invalid baseline_variant_key: 'sent'. Must be one of: control, test, third",
    )
    experiments.refused(
        experiments.try_new(parameters={"feature_flag_variants": sent}, excluded_variants=["sent"]),
        "unknown variants for this experiment: ['sent']",
        attr="excluded_variants",
    )
    made = experiments.made(excluded_variants=["third"], stats_config={"baseline_variant_key": "test"})
    assert (made["excluded_variants"], made["stats_config"]["baseline_variant_key"]) == (["third"], "test")


def test_create__live_flag_of_another_project__is_not_meant(
    experiments: Experiments, foreign_project: Project, outsider_api: APIClient
) -> None:
    theirs = Experiments(outsider_api, foreign_project).made()
    ours = experiments.made()

    assert ours["feature_flag"]["id"] != theirs["feature_flag"]["id"]


def test_create__on_an_archived_live_flag__links_it(experiments: Experiments, flag: MakeFlag) -> None:
    live = flag(active=False, archived=True)

    assert experiments.made(start_date=STARTED)["feature_flag"]["id"] == live.pk
    assert Experiment.objects.count() == 1


def test_create__on_a_flag_without_groups__keeps_no_rollout_that_the_flag_has_not(
    experiments: Experiments, flag: MakeFlag, owner_api: APIClient
) -> None:
    live = flag()
    url = f"/api/projects/{experiments.project.pk}/feature_flags/{live.pk}/"
    assert owner_api.patch(url, {"filters": {"groups": []}}).status_code == 200
    made = experiments.made(parameters={"rollout_percentage": 5})

    assert "rollout_percentage" not in made["parameters"]

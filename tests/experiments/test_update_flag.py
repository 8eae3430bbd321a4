"""What a PATCH of an experiment writes into its flag: from a draft, and after the launch."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from experiments.models import ExperimentHoldout
from feature_flags.models import FeatureFlag
from tests.experiments.conftest import STARTED, Experiments, activity_of, everything, flag_of, variants

MakeFlag = Callable[..., FeatureFlag]
MakeHoldout = Callable[..., ExperimentHoldout]
SUM = "Invalid variant definitions: Variant rollout percentages must sum to 100."


def rich_flag(make: MakeFlag, **filters: Any) -> FeatureFlag:
    """A flag with everything that a draft's change must leave alone."""
    return make(
        active=True,
        filters={
            "groups": [
                {"properties": [], "rollout_percentage": 40, "aggregation_group_type_index": 1, "description": "First"},
                {"properties": [], "rollout_percentage": 10, "variant": "test", "aggregation_group_type_index": 1},
            ],
            "payloads": {"control": "1", "test": "2"},
            "aggregation_group_type_index": 1,
            "feature_enrollment": True,
            "early_exit": True,
            "holdout": {"id": 99, "exclusion_percentage": 3},
            **filters,
        },
    )


# From a draft


def test_draft__variants__reach_the_flag(experiments: Experiments) -> None:
    made = experiments.made()
    changed = experiments.changed(made["id"], parameters={"feature_flag_variants": variants(20, 30, 50)})

    assert changed["feature_flag"]["filters"]["multivariate"] == {"variants": variants(20, 30, 50)}
    assert changed["feature_flag"]["filters"]["groups"] == made["feature_flag"]["filters"]["groups"]
    assert changed["feature_flag"]["version"] == 2
    assert [entry.activity for entry in activity_of(made, scope="FeatureFlag")] == ["created", "updated"]


def test_draft__variants_alone__make_the_aggregation_that_of_persons(experiments: Experiments, flag: MakeFlag) -> None:
    before = rich_flag(flag).filters
    made = experiments.made()
    changed = experiments.changed(made["id"], parameters={"feature_flag_variants": variants(20, 80)})
    filters = changed["feature_flag"]["filters"]

    assert filters["aggregation_group_type_index"] is None
    assert [group["aggregation_group_type_index"] for group in filters["groups"]] == [None, None]
    assert [group["rollout_percentage"] for group in filters["groups"]] == [40, 10]
    kept = ("payloads", "feature_enrollment", "early_exit", "holdout")
    assert {name: filters[name] for name in kept} == {name: before[name] for name in kept}
    assert changed["feature_flag"]["active"] is True


def test_draft__variants_with_aggregation_and_rollout__write_all_three(
    experiments: Experiments, flag: MakeFlag
) -> None:
    rich_flag(flag)
    made = experiments.made()
    changed = experiments.changed(
        made["id"],
        parameters={
            "feature_flag_variants": variants(20, 80),
            "aggregation_group_type_index": 2,
            "rollout_percentage": 7,
        },
    )
    filters = changed["feature_flag"]["filters"]

    assert filters["aggregation_group_type_index"] == 2
    assert filters["groups"] == [
        {"properties": [], "rollout_percentage": 7, "aggregation_group_type_index": 2, "description": "First"},
        {"properties": [], "rollout_percentage": 10, "variant": "test", "aggregation_group_type_index": 2},
    ]


@pytest.mark.parametrize(("sent", "written"), [(0, 0), (12.5, 12.5), (None, 100)])
def test_draft__rollout_alone__writes_only_the_first_group(
    experiments: Experiments, flag: MakeFlag, sent: Any, written: Any
) -> None:
    before = rich_flag(flag).filters
    made = experiments.made()
    filters = experiments.changed(made["id"], parameters={"rollout_percentage": sent})["feature_flag"]["filters"]

    assert filters["groups"][0] == {**before["groups"][0], "rollout_percentage": written}
    assert {**filters, "groups": None} == {**before, "groups": None}
    assert filters["groups"][1] == before["groups"][1]


def test_draft__aggregation_alone__writes_only_that(experiments: Experiments, flag: MakeFlag) -> None:
    before = rich_flag(flag).filters
    made = experiments.made()
    filters = experiments.changed(made["id"], parameters={"aggregation_group_type_index": 3})["feature_flag"]["filters"]

    assert filters["aggregation_group_type_index"] == 3
    assert [group["aggregation_group_type_index"] for group in filters["groups"]] == [3, 3]
    assert [group["rollout_percentage"] for group in filters["groups"]] == [40, 10]
    assert filters["multivariate"] == before["multivariate"]


@pytest.mark.parametrize(
    "sent",
    [
        *(None, {}, {"own": 1}, {"minimum_detectable_effect": 5}),
        {"feature_flag_payloads": {"test": "5"}, "ensure_experience_continuity": True},
    ],
    ids=str,
)
def test_draft__parameters_without_the_three__write_nothing_into_the_flag(
    experiments: Experiments, flag: MakeFlag, sent: Any
) -> None:
    rich_flag(flag)
    made = experiments.made()
    before = everything()["FeatureFlag"]
    experiments.changed(made["id"], parameters=sent)

    assert everything()["FeatureFlag"] == before


def test_draft__payloads_of_removed_variants__go(experiments: Experiments, flag: MakeFlag) -> None:
    rich_flag(flag, groups=[{"properties": [], "rollout_percentage": 100}])
    made = experiments.made()
    changed = experiments.changed(
        made["id"], parameters={"feature_flag_variants": variants(50, 50, keys=("control", "new"))}
    )

    assert changed["feature_flag"]["filters"]["payloads"] == {"control": "1"}


def test_draft__variant_that_a_group_answers_with_removed__is_refused_by_the_flag(
    experiments: Experiments, flag: MakeFlag
) -> None:
    rich_flag(flag)
    made = experiments.made()
    before = everything()

    experiments.refused(
        experiments.patch(
            made["id"], {"parameters": {"feature_flag_variants": variants(50, 50, keys=("control", "new"))}}
        ),
        "Variant override 'test' does not match any variant key.",
        attr="filters",
    )
    assert everything() == before


def test_draft__variants_that_a_running_neighbour_needs__cannot_go(experiments: Experiments) -> None:
    running = experiments.running(name="Neighbour")
    draft = experiments.made(name="Draft")

    experiments.refused(
        experiments.patch(
            draft["id"], {"parameters": {"feature_flag_variants": variants(50, 50, keys=("control", "new"))}}
        ),
        "Cannot remove variant(s) 'test' from a feature flag that is linked to running experiment(s): "
        f'"Neighbour" (ID: {running["id"]}). Please stop the experiment(s) before removing variants.',
        attr=None,
    )


@pytest.mark.parametrize("weights", [(50, 40), (33, 33, 33)])
def test_draft__incomplete_weights__are_refused(experiments: Experiments, weights: tuple[float, ...]) -> None:
    made = experiments.made()

    experiments.refused(
        experiments.patch(made["id"], {"parameters": {"feature_flag_variants": variants(*weights)}}),
        SUM,
        attr="filters",
    )


def test_draft__sync_that_changes_nothing__steps_no_version(experiments: Experiments) -> None:
    made = experiments.made(parameters={"feature_flag_variants": variants(20, 80), "rollout_percentage": 30})
    before = everything()["FeatureFlag"]
    changed = experiments.changed(
        made["id"],
        parameters={
            "feature_flag_variants": [{"key": "Control", "split_percent": 20}, {"key": "test", "split_percent": 80}],
            "rollout_percentage": 30,
            "own": 1,
        },
    )

    assert everything()["FeatureFlag"] == before
    assert changed["parameters"]["own"] == 1
    assert len(activity_of(made, scope="FeatureFlag")) == 1


def test_draft__removed_variant_that_is_excluded__is_refused(experiments: Experiments) -> None:
    made = experiments.made(parameters={"feature_flag_variants": variants(20, 30, 50)}, excluded_variants=["third"])

    experiments.refused(
        experiments.patch(made["id"], {"parameters": {"feature_flag_variants": variants(50, 50)}}),
        "unknown variants for this experiment: ['third']",
        attr="excluded_variants",
    )
    changed = experiments.changed(
        made["id"], parameters={"feature_flag_variants": variants(50, 50)}, excluded_variants=[]
    )
    assert changed["excluded_variants"] == []


def test_draft__removed_variant_that_is_the_baseline__is_refused(experiments: Experiments) -> None:
    made = experiments.made(stats_config={"baseline_variant_key": "test"})

    experiments.refused(
        experiments.patch(
            made["id"], {"parameters": {"feature_flag_variants": variants(50, 50, keys=("control", "new"))}}
        ),
        "Invalid baseline_variant_key: 'test'. Must be one of: control, new",
    )


def test_draft__baseline_and_exclusion__may_name_the_variants_sent_along(experiments: Experiments) -> None:
    made = experiments.made()
    changed = experiments.changed(
        made["id"],
        parameters={"feature_flag_variants": variants(20, 30, 50)},
        stats_config={"baseline_variant_key": "third"},
        excluded_variants=["test"],
    )

    assert changed["stats_config"] == {"baseline_variant_key": "third"}
    assert changed["parameters"]["excluded_variants"] == ["test"]


# Holdout of a draft


def test_draft__holdout__reaches_the_flag_and_leaves_it(experiments: Experiments, holdout: MakeHoldout) -> None:
    first, second = holdout(10), holdout(20.5)
    made = experiments.made(holdout_id=first.pk)
    changed = experiments.changed(made["id"], holdout_id=second.pk)
    assert changed["feature_flag"]["filters"]["holdout"] == {"id": second.pk, "exclusion_percentage": 20.5}
    assert (changed["holdout_id"], changed["holdout"]["id"]) == (second.pk, second.pk)

    cleared = experiments.changed(made["id"], holdout_id=None)
    assert cleared["feature_flag"]["filters"]["holdout"] is None
    assert (cleared["holdout_id"], cleared["holdout"]) == (None, None)
    assert cleared["feature_flag"]["version"] == 3


def test_draft__holdout__leaves_all_else_of_the_flag(
    experiments: Experiments, flag: MakeFlag, holdout: MakeHoldout
) -> None:
    before = rich_flag(flag).filters
    kept_out = holdout(5)
    made = experiments.made()
    filters = experiments.changed(made["id"], holdout_id=kept_out.pk)["feature_flag"]["filters"]

    assert filters == {**before, "holdout": {"id": kept_out.pk, "exclusion_percentage": 5}}


# After the launch


@pytest.fixture(params=["running", "paused", "stopped"])
def launched(request: pytest.FixtureRequest, experiments: Experiments, owner_api: APIClient) -> dict[str, Any]:
    """A launched experiment in each state."""
    made = experiments.stopped() if request.param == "stopped" else experiments.running()
    if request.param == "paused":
        url = f"/api/projects/{experiments.project.pk}/feature_flags/{made['feature_flag']['id']}/"
        assert owner_api.patch(url, {"active": False}).status_code == 200
    shown = experiments.read(made["id"])
    assert shown["status"] == request.param
    return shown


OTHER_KEYS = [
    variants(50, 50, keys=("control", "other")),
    variants(20, 30, 50),
    variants(50, 25, 25, keys=("control", "test", "test")),
]


@pytest.mark.parametrize("keys", OTHER_KEYS, ids=lambda sent: str([variant["key"] for variant in sent]))
@pytest.mark.parametrize("switch", [{}, {"update_feature_flag_params": True}, {"update_feature_flag_params": False}])
def test_launched__other_variant_keys__are_refused_with_or_without_the_switch(
    experiments: Experiments, launched: dict[str, Any], keys: Any, switch: dict[str, bool]
) -> None:
    before = everything()

    experiments.refused(
        experiments.patch(launched["id"], {"parameters": {"feature_flag_variants": keys}, **switch}),
        "Can't update feature_flag_variants on Experiment",
    )
    assert everything() == before


def test_launched__same_keys_without_the_switch__are_only_stored(
    experiments: Experiments, launched: dict[str, Any]
) -> None:
    before = everything()["FeatureFlag"]
    changed = experiments.changed(
        launched["id"],
        parameters={
            "feature_flag_variants": [
                {"key": "test", "name": "New name", "split_percent": 1},
                {"key": "control", "rollout_percentage": 2},
            ],
            "rollout_percentage": 5,
            "aggregation_group_type_index": 1,
        },
    )

    assert everything()["FeatureFlag"] == before
    assert changed["parameters"] == {
        "feature_flag_variants": [
            {"key": "test", "name": "New name", "rollout_percentage": 1, "split_percent": 1},
            {"key": "control", "rollout_percentage": 2, "split_percent": 2},
        ],
        "rollout_percentage": 5,
        "aggregation_group_type_index": 1,
    }


def test_launched__same_keys_with_the_switch__reach_the_flag(
    experiments: Experiments, launched: dict[str, Any]
) -> None:
    changed = experiments.changed(
        launched["id"],
        parameters={
            "feature_flag_variants": variants(10, 90),
            "rollout_percentage": 60,
            "aggregation_group_type_index": 0,
        },
        update_feature_flag_params=True,
    )
    flag = changed["feature_flag"]

    assert flag["filters"]["multivariate"] == {"variants": variants(10, 90)}
    assert flag["filters"]["groups"] == [
        {"properties": [], "rollout_percentage": 60, "aggregation_group_type_index": 0}
    ]
    assert flag["version"] == launched["feature_flag"]["version"] + 1
    assert flag["active"] == launched["feature_flag"]["active"]


def test_launched__with_the_switch__weights_must_be_complete(
    experiments: Experiments, launched: dict[str, Any]
) -> None:
    body = {"parameters": {"feature_flag_variants": variants(10, 10)}, "update_feature_flag_params": True}

    experiments.refused(experiments.patch(launched["id"], body), SUM, attr="filters")


def test_launched__parameters_as_read_with_the_switch__bring_the_flag_into_agreement(
    experiments: Experiments, launched: dict[str, Any]
) -> None:
    stored = experiments.changed(launched["id"], parameters={"feature_flag_variants": variants(10, 90)})
    assert flag_of(stored).filters["multivariate"] == launched["feature_flag"]["filters"]["multivariate"]
    changed = experiments.changed(launched["id"], parameters=stored["parameters"], update_feature_flag_params=True)

    assert changed["feature_flag"]["filters"]["multivariate"] == {"variants": variants(10, 90)}


@pytest.mark.parametrize("sent", [None, {}, {"own": 1}])
def test_launched__parameters_without_variants_with_the_switch__write_no_flag(
    experiments: Experiments, launched: dict[str, Any], sent: Any
) -> None:
    before = everything()["FeatureFlag"]
    experiments.changed(launched["id"], parameters=sent, update_feature_flag_params=True)

    assert everything()["FeatureFlag"] == before


def test_launched__variants_added_to_the_flag__may_be_sent(
    experiments: Experiments, launched: dict[str, Any], owner_api: APIClient
) -> None:
    url = f"/api/projects/{experiments.project.pk}/feature_flags/{launched['feature_flag']['id']}/"
    assert owner_api.patch(url, {"filters": {"multivariate": {"variants": variants(20, 30, 50)}}}).status_code == 200

    changed = experiments.changed(launched["id"], parameters={"feature_flag_variants": variants(50, 30, 20)})
    assert len(changed["parameters"]["feature_flag_variants"]) == 3
    experiments.refused(
        experiments.patch(launched["id"], {"parameters": {"feature_flag_variants": variants(50, 50)}}),
        "Can't update feature_flag_variants on Experiment",
    )


def test_launched__other_holdout__is_refused(
    experiments: Experiments, launched: dict[str, Any], holdout: MakeHoldout
) -> None:
    before_holdout = holdout().pk
    before = everything()

    experiments.refused(
        experiments.patch(launched["id"], {"holdout_id": before_holdout}),
        "Can't update holdout on running Experiment",
    )
    assert everything() == before


def test_launched__present_holdout__is_taken_and_none_is_not(experiments: Experiments, holdout: MakeHoldout) -> None:
    kept_out = holdout()
    made = experiments.running(holdout_id=kept_out.pk)
    before = everything()
    experiments.changed(made["id"], holdout_id=kept_out.pk)

    assert everything() == before
    experiments.refused(
        experiments.patch(made["id"], {"holdout_id": None}), "Can't update holdout on running Experiment"
    )


def test_launching_patch__writes_variants_and_launches(experiments: Experiments) -> None:
    made = experiments.made()
    changed = experiments.changed(
        made["id"], start_date=STARTED, parameters={"feature_flag_variants": variants(20, 30, 50)}
    )

    assert (changed["status"], changed["feature_flag"]["active"]) == ("running", True)
    assert changed["feature_flag"]["filters"]["multivariate"] == {"variants": variants(20, 30, 50)}
    assert changed["feature_flag"]["version"] == 2

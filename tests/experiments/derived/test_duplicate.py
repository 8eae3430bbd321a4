"""POST experiments/{id}/duplicate/."""

from collections.abc import Callable
from typing import Any

import pytest

from experiments.models import Experiment, ExperimentHoldout, ExperimentSavedMetric
from feature_flags.models import FeatureFlag
from tests.experiments.conftest import STARTED, Experiments, activity_of, everything, flag_of

MEAN: dict[str, Any] = {
    "kind": "ExperimentMetric",
    "metric_type": "mean",
    "uuid": "mean-1",
    "source": {"kind": "EventsNode", "event": "purchase"},
}
FUNNEL: dict[str, Any] = {
    "kind": "ExperimentMetric",
    "metric_type": "funnel",
    "uuid": "funnel-1",
    "series": [{"kind": "EventsNode", "event": "signup"}],
}


def duplicate(experiments: Experiments, source: dict[str, Any], **body: Any) -> Any:
    return experiments.post(body, f"{source['id']}/duplicate")


def duplicated(experiments: Experiments, source: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = duplicate(experiments, source, **body)
    assert answer.status_code == 200, answer.json()
    shown: dict[str, Any] = answer.json()
    return shown


def test_duplicate__without_body__is_a_draft_on_the_same_flag(experiments: Experiments) -> None:
    source = experiments.stopped()
    copy = duplicated(experiments, source)
    assert copy["id"] != source["id"]
    assert copy["status"] == "draft"
    assert copy["feature_flag"]["id"] == source["feature_flag"]["id"]
    assert (copy["start_date"], copy["end_date"]) == (None, None)


def test_duplicate__flag_shared__is_not_written(experiments: Experiments) -> None:
    source = experiments.running()
    before = flag_of(source)
    duplicated(experiments, source)
    after = flag_of(source)
    assert (after.version, after.active, after.filters) == (before.version, before.active, before.filters)


@pytest.mark.parametrize("key", [None, "blue-button"])
def test_duplicate__key_null_or_own__shares_the_flag(experiments: Experiments, key: str | None) -> None:
    source = experiments.made()
    copy = duplicated(experiments, source, feature_flag_key=key)
    assert copy["feature_flag"]["id"] == source["feature_flag"]["id"]


def test_duplicate__own_flag_deleted__asks_for_a_key(experiments: Experiments) -> None:
    source = experiments.stopped()
    FeatureFlag.objects.filter(pk=source["feature_flag"]["id"]).update(deleted=True)
    before = everything()
    experiments.refused(
        duplicate(experiments, source),
        "The feature flag of this experiment has been deleted. Send a new feature_flag_key.",
        attr="feature_flag_key",
    )
    assert everything() == before


def test_duplicate__new_key__makes_an_inactive_flag_like_the_source(experiments: Experiments) -> None:
    source = experiments.running(
        parameters={
            "feature_flag_variants": [
                {"key": "control", "rollout_percentage": 20},
                {"key": "green", "rollout_percentage": 80},
            ],
            "rollout_percentage": 40,
            "feature_flag_payloads": {"green": '{"a": 1}'},
            "ensure_experience_continuity": True,
        }
    )
    copy = duplicated(experiments, source, feature_flag_key="green-button")
    flag = flag_of(copy)
    assert (flag.key, flag.active, flag.version) == ("green-button", False, 1)
    assert flag.ensure_experience_continuity
    assert flag.filters["multivariate"]["variants"] == [
        {"key": "control", "rollout_percentage": 20},
        {"key": "green", "rollout_percentage": 80},
    ]
    assert flag.filters["groups"] == [{"properties": [], "rollout_percentage": 40}]
    assert flag.filters["payloads"] == {"green": '{"a": 1}'}


def test_duplicate__new_key__takes_no_holdout_along(
    experiments: Experiments, holdout: Callable[..., ExperimentHoldout]
) -> None:
    source = experiments.made(holdout_id=holdout(10).pk)
    copy = duplicated(experiments, source, feature_flag_key="green-button")
    assert copy["holdout_id"] is None
    assert flag_of(copy).filters["holdout"] is None


def test_duplicate__live_flag_of_another_key__is_linked_as_it_is(
    experiments: Experiments, flag: Callable[..., FeatureFlag]
) -> None:
    source = experiments.made()
    other = flag("red-button", weights=(10, 20, 70))
    copy = duplicated(experiments, source, feature_flag_key="red-button")
    assert copy["feature_flag"]["id"] == other.pk
    assert [variant["split_percent"] for variant in copy["parameters"]["feature_flag_variants"]] == [10, 20, 70]
    other.refresh_from_db()
    assert other.version == 1


def test_duplicate__blank_key__is_refused(experiments: Experiments) -> None:
    source = experiments.made()
    experiments.refused(
        duplicate(experiments, source, feature_flag_key="  "), "This field may not be blank.", attr="key", code="blank"
    )


def test_duplicate__unusable_key__is_refused_by_the_flag(experiments: Experiments) -> None:
    source = experiments.made()
    before = everything()
    experiments.refused(
        duplicate(experiments, source, feature_flag_key="no spaces"),
        "Only letters, numbers, hyphens (-) & underscores (_) are allowed.",
        attr="key",
        code="invalid_key",
    )
    assert everything() == before


def test_duplicate__names__count_copies(experiments: Experiments) -> None:
    source = experiments.made(name="Blue")
    names = [duplicated(experiments, source)["name"] for _ in range(3)]
    assert names == ["Blue (Copy)", "Blue (Copy) 1", "Blue (Copy) 2"]


def test_duplicate__deleted_copy__gives_its_name_free(experiments: Experiments) -> None:
    source = experiments.made(name="Blue")
    copy = duplicated(experiments, source)
    experiments.changed(copy["id"], deleted=True)
    assert duplicated(experiments, source)["name"] == "Blue (Copy)"


def test_duplicate__name_of_400__is_shortened_to_fit(experiments: Experiments) -> None:
    source = experiments.made(name="n" * 400)
    first, second = duplicated(experiments, source)["name"], duplicated(experiments, source)["name"]
    assert first == "n" * 393 + " (Copy)"
    assert second == "n" * 391 + " (Copy) 1"


@pytest.mark.parametrize(("name", "expected"), [("Mine", "Mine"), ("", "Blue (Copy)"), (None, "Blue (Copy)")])
def test_duplicate__name(experiments: Experiments, name: str | None, expected: str) -> None:
    assert duplicated(experiments, experiments.made(name="Blue"), name=name)["name"] == expected


def test_duplicate__name_too_long__is_refused(experiments: Experiments) -> None:
    answer = duplicate(experiments, experiments.made(), name="n" * 401)
    experiments.refused(answer, "Ensure this field has no more than 400 characters.", attr="name", code="max_length")


def test_duplicate__metrics__get_fresh_uuids_in_the_same_order(
    experiments: Experiments, saved_metric: Callable[..., ExperimentSavedMetric]
) -> None:
    saved = saved_metric("saved-1")
    source = experiments.made(
        metrics=[MEAN, FUNNEL],
        saved_metrics_ids=[{"id": saved.pk}],
        primary_metrics_ordered_uuids=["funnel-1", "saved-1", "mean-1"],
    )
    copy = duplicated(experiments, source)
    mean, funnel = (metric["uuid"] for metric in copy["metrics"])
    assert {mean, funnel}.isdisjoint({"mean-1", "funnel-1"})
    assert copy["primary_metrics_ordered_uuids"] == [funnel, "saved-1", mean]
    assert [link["saved_metric"] for link in copy["saved_metrics"]] == [saved.pk]


def test_duplicate__fingerprints__are_those_of_a_draft(experiments: Experiments) -> None:
    draft = experiments.made(feature_flag_key="a", metrics=[MEAN])
    running = experiments.made(feature_flag_key="b", metrics=[MEAN], start_date=STARTED)
    copy = duplicated(experiments, running)
    assert copy["metrics"][0]["fingerprint"] == draft["metrics"][0]["fingerprint"]
    assert copy["metrics"][0]["fingerprint"] != running["metrics"][0]["fingerprint"]


def test_duplicate__copies_what_makes_the_question(experiments: Experiments) -> None:
    source = experiments.made(
        description="Why",
        filters={"a": 1},
        stats_config={"method": "frequentist", "baseline_variant_key": "test"},
        scheduling_config={"timeseries": True},
        exposure_criteria={"filterTestAccounts": False},
        running_time_calculation={"minimum_detectable_effect": 5},
        only_count_matured_users=True,
        exposure_preaggregation_enabled=True,
        type="web",
    )
    copy = duplicated(experiments, source)
    for name in (
        "description",
        "type",
        "filters",
        "stats_config",
        "scheduling_config",
        "exposure_criteria",
        "running_time_calculation",
        "only_count_matured_users",
        "exposure_preaggregation_enabled",
        "parameters",
        "excluded_variants",
    ):
        assert copy[name] == source[name], name


def test_duplicate__leaves_the_outcome_behind(experiments: Experiments) -> None:
    source = experiments.stopped(
        conclusion="won",
        conclusion_comment="Clearly",
        archived=True,
        secondary_metrics=[{"a": 1}],
        _create_in_folder="Spring",
    )
    copy = duplicated(experiments, source)
    expected: dict[str, object] = {
        "conclusion": None,
        "conclusion_comment": None,
        "archived": False,
        "secondary_metrics": [],
        "folder": None,
        "exposure_cohort": None,
    }
    assert {name: copy[name] for name in expected} == expected


def test_duplicate__nulls__become_the_defaults(experiments: Experiments) -> None:
    source = experiments.made(description=None, type=None)
    copy = duplicated(experiments, source)
    assert (copy["description"], copy["type"]) == ("", "product")


def test_duplicate__is_recorded_as_created_by_the_caller(experiments: Experiments) -> None:
    copy = duplicated(experiments, experiments.made())
    assert [row.activity for row in activity_of(copy)] == ["created"]
    assert copy["created_by"]["email"] == "member@example.com"


def test_duplicate__other_etag__is_refused_and_copies_nothing(experiments: Experiments) -> None:
    source = experiments.made()
    answer = experiments.client.post(
        experiments.url(f"{source['id']}/duplicate"), {}, headers={"If-Match": '"another"'}
    )
    assert answer.status_code == 412
    assert Experiment.objects.count() == 1


def test_duplicate__deleted_source__is_not_found(experiments: Experiments) -> None:
    source = experiments.made()
    experiments.changed(source["id"], deleted=True)
    assert duplicate(experiments, source).status_code == 404

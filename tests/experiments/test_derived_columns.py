"""What is computed when something is written, so that reading computes nothing, is always what reading would find.

Whatever is done in whatever order to an experiment, its neighbour on the flag, the flag or a saved metric.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from activity.models import ActivityEntry
from experiments import metric_set, parameters
from experiments.fingerprint import with_fingerprint
from experiments.lifecycle import status_of_dates
from experiments.models import Experiment, ExperimentToSavedMetric
from feature_flags.models import FeatureFlag
from tests.experiments.conftest import ENDED, STARTED, Experiments, Json, everything, variants
from tests.experiments.documents import event, mean, ratio

SETS = [variants(50, 50), variants(20, 80), variants(20, 30, 50), variants(0, 0, 100)]
chosen_variants = st.sampled_from(SETS)
percentages = st.sampled_from([None, 0, 12.5, 100])
indexes = st.sampled_from([None, 0, 3])
said = st.fixed_dictionaries(
    {},
    optional={
        "feature_flag_variants": chosen_variants,
        "rollout_percentage": percentages,
        "aggregation_group_type_index": indexes,
        "minimum_detectable_effect": st.sampled_from([None, 5]),
        "excluded_variants": st.sampled_from([[], ["test"], ["third"]]),
        "own": st.just(1),
    },
)
metric_lists = st.lists(st.sampled_from([mean(uuid="a"), ratio(uuid="b"), mean(event("x"), uuid="c")]), max_size=3)
patches = st.fixed_dictionaries(
    {},
    optional={
        "parameters": said | st.none(),
        "start_date": st.sampled_from([None, STARTED]),
        "end_date": st.sampled_from([None, ENDED]),
        "archived": st.booleans(),
        "deleted": st.just(False),
        "stats_config": st.sampled_from([None, {"method": "frequentist"}, {"baseline_variant_key": "test"}]),
        "exposure_criteria": st.sampled_from([None, {}, {"filterTestAccounts": False}]),
        "only_count_matured_users": st.booleans(),
        "excluded_variants": st.sampled_from([[], ["test"]]),
        "running_time_calculation": st.sampled_from([{}, {"recommended_sample_size": 10}]),
        "metrics": metric_lists,
        "metrics_secondary": metric_lists,
        "saved_metrics_ids": st.sampled_from(["none", "primary", "secondary"]),
        "feature_flag": st.sampled_from(
            [
                {"filters": {"multivariate": {"variants": SETS[2]}}},
                {"filters": {"groups": [{"rollout_percentage": 5}], "aggregation_group_type_index": 1}},
            ]
        ),
        "update_feature_flag_params": st.booleans(),
    },
)
flag_filters: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {},
    optional={
        "multivariate": chosen_variants.map(lambda chosen: {"variants": chosen}) | st.none(),
        "groups": st.lists(percentages.map(lambda share: {"properties": [], "rollout_percentage": share}), max_size=2),
        "aggregation_group_type_index": indexes,
    },
)
flag_changes = st.fixed_dictionaries({}, optional={"filters": flag_filters, "active": st.booleans()})
steps = st.lists(
    st.tuples(st.just("experiment"), patches)
    | st.tuples(st.just("neighbour"), patches)
    | st.tuples(st.just("flag"), flag_changes)
    | st.tuples(st.just("saved metric"), st.sampled_from(["purchase", "visit"])),
    min_size=1,
    max_size=8,
)


def assert_derived_columns_are_true() -> None:
    for experiment in Experiment.objects.select_related("feature_flag"):
        assert experiment.shown_parameters == parameters.shown(experiment)
        assert experiment.status == status_of_dates(experiment.start_date, experiment.end_date)
        context = metric_set.context_of(experiment)
        for metric in (*experiment.metrics, *experiment.metrics_secondary):
            assert metric == with_fingerprint(metric, context)
        links = list(ExperimentToSavedMetric.objects.filter(experiment=experiment).select_related("saved_metric"))
        for link in links:
            assert link.query == with_fingerprint(link.saved_metric.query, context)
        for name, order in metric_set.ORDER_OF_LIST.items():
            linked = [link.saved_metric.query["uuid"] for link in links if link.is_primary == (name == "metrics")]
            uuids = [*(metric["uuid"] for metric in getattr(experiment, name)), *linked]
            assert len(set(uuids)) == len(uuids)
            assert set(uuids) <= set(getattr(experiment, order) or ())


@pytest.fixture
def apply(
    experiments: Experiments, owner_api: APIClient, saved_metric: Callable[..., Any], settings: Any
) -> Callable[[list[tuple[str, Any]]], list[Json]]:
    """Makes two experiments on a new flag, does the steps, and answers the experiments as they were made."""
    settings.THROTTLING_ENABLED = False
    base = f"/api/projects/{experiments.project.pk}"
    saved = saved_metric("s")
    linked = {
        "none": [],
        "primary": [{"id": saved.pk}],
        "secondary": [{"id": saved.pk, "metadata": {"type": "secondary"}}],
    }

    def go(wanted: list[tuple[str, Any]]) -> list[Json]:
        for model in (Experiment, FeatureFlag, ActivityEntry):  # of the sequence before
            model._default_manager.all().delete()
        made = [experiments.made(name=name) for name in ("experiment", "neighbour")]
        for target, change in wanted:
            if target == "flag":
                answer = owner_api.patch(f"{base}/feature_flags/{made[0]['feature_flag']['id']}/", change)
            elif target == "saved metric":
                query = mean(event(change))
                answer = owner_api.patch(f"{base}/experiment_saved_metrics/{saved.pk}/", {"query": query})
            else:
                body = dict(change)
                if "saved_metrics_ids" in body:
                    body["saved_metrics_ids"] = linked[body["saved_metrics_ids"]]
                answer = experiments.patch(made[target == "neighbour"]["id"], body)
            assert answer.status_code in (200, 400), answer.content
            assert_derived_columns_are_true()
        return made

    return go


@hypothesis_settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(wanted=steps)
def test_any_sequence_of_writes__leaves_true_columns_and_a_form_that_changes_nothing(
    apply: Callable[[list[tuple[str, Any]]], list[Json]], experiments: Experiments, wanted: list[tuple[str, Any]]
) -> None:
    for made in apply(wanted):
        shown = experiments.read(made["id"])
        before = everything()
        sent_back = experiments.patch(made["id"], shown)
        assert (sent_back.status_code, sent_back.json()) == (200, shown)
        assert everything() == before

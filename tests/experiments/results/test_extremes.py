"""Settings and dates that nobody would choose, in results and on their page."""

import pytest
from django.test import Client

from projects.models import Project, User
from tests.experiments.conftest import Experiments
from tests.experiments.results.traffic import PURCHASES, SIGNUP

HUGE = 10**400


@pytest.mark.parametrize("difference_type", ["ABSOLUTE", "RELATIVE"])
@pytest.mark.usefixtures("hundred")
def test_page__effect_beyond_any_axis__is_shown_all_the_same(
    experiments: Experiments, project: Project, member: User, difference_type: str
) -> None:
    bayesian = {"difference_type": difference_type, "prior": {"mean": 1e308, "variance": 1e-308}}
    experiment = experiments.stopped(metrics=[SIGNUP], stats_config={"bayesian": bayesian})
    browser = Client()
    browser.force_login(member)
    assert browser.get(f"/projects/{project.pk}/experiments/{experiment['id']}/").status_code == 200


@pytest.mark.parametrize(
    ("start", "zone", "day"),
    [
        ("0001-01-01T00:00:00Z", "America/New_York", "1899-12-31"),
        ("9999-12-31T23:59:59Z", "Asia/Kathmandu", None),
    ],
)
def test_start__at_an_end_of_the_calendar__fails_no_results(
    experiments: Experiments, project: Project, start: str, zone: str, day: str | None
) -> None:
    Project.objects.filter(pk=project.pk).update(timezone=zone)
    answer = experiments.get(f"{experiments.made(start_date=start)['id']}/results")
    assert answer.status_code == 200
    control, _ = answer.json()["exposures"]["timeseries"]
    assert control["days"][:1] == [day] * (day is not None)


@pytest.mark.usefixtures("hundred")
def test_minimum_detectable_effect__beyond_a_float__is_that_of_the_project(
    experiments: Experiments, project: Project
) -> None:
    running_time = {"minimum_detectable_effect": HUGE}
    experiment = experiments.stopped(metrics=[SIGNUP], running_time_calculation=running_time)
    found = experiments.get(f"{experiment['id']}/results").json()["health"]
    assert [one["data"]["minimum_detectable_effect"] for one in found if one["code"] == "low_power"] == [
        project.default_minimum_detectable_effect
    ]


@pytest.mark.parametrize(
    "config",
    [
        {"method": "frequentist", "frequentist": {"alpha": HUGE, "sequential_tuning_parameter": HUGE}},
        {"bayesian": {"ci_level": HUGE, "prior": {"mean": HUGE, "variance": HUGE}}},
        {"cuped": {"enabled": True, "lookback_days": HUGE}},
    ],
)
@pytest.mark.usefixtures("hundred")
def test_integers_beyond_a_float__in_settings_and_threshold__fail_no_results(
    experiments: Experiments, config: dict[str, object]
) -> None:
    experiment = experiments.stopped(metrics=[{**PURCHASES, "threshold": HUGE}, SIGNUP], stats_config=config)
    answer = experiments.get(f"{experiment['id']}/results")
    assert answer.status_code == 200
    threshold, signup = (metric["result"]["variant_results"][0] for metric in answer.json()["metrics"])
    assert threshold["sum"] == 0
    assert signup["effect"] == pytest.approx(1.5)

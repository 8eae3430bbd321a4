"""The pages of experiments as a signed-in browser gets them."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from events.store import partitions
from events.store.base import StoreTimeout
from experiments.models import Experiment, StoredAnswer
from experiments.pages import views
from experiments.results import report
from projects.models import Project, User
from tests.experiments.conftest import Experiments
from tests.experiments.results.traffic import PURCHASES, SIGNUP, did, exposed

Json = dict[str, Any]
FREQUENTIST = {"method": "frequentist", "multiplicity": "holm"}


@pytest.fixture(autouse=True)
def _forget_partitions() -> None:
    partitions._known.clear()


@pytest.fixture
def browser(project: Project, member: User) -> Client:
    client = Client()
    client.force_login(member)
    return client


@pytest.fixture
def hundred(capture: Callable[..., None]) -> None:
    """60 users see the control, 60 the test; 12 and 30 of them sign up, and each of those buys once."""
    for variant, number in (("control", 12), ("test", 30)):
        capture(*exposed(variant, 60), *did("signup", variant, number), *did("purchase", variant, number))


def path_of(experiment: Json, project: Project) -> str:
    return f"/projects/{project.pk}/experiments/{experiment['id']}/"


def text_of(answer: Any) -> str:
    """What is read on a page, tags and typographic signs aside."""
    bare = re.sub(r"<[^>]+>", " ", answer.content.decode())
    return re.sub(r"\s+", " ", unescape(bare).replace("\u00a0", " ").replace("\u2212", "-"))


# --- Who may see it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "post"])
def test_page__nobody__is_sent_to_sign_in_and_back(experiments: Experiments, project: Project, method: str) -> None:
    path = path_of(experiments.made(), project)
    answer = getattr(Client(), method)(path)
    assert (answer.status_code, answer["Location"]) == (302, f"/login/?next={path}")


def test_page__api_key__is_no_session(experiments: Experiments, project: Project) -> None:
    assert experiments.client.get(path_of(experiments.made(), project)).status_code == 302


@pytest.mark.parametrize("wanted", ["999999", "x", "-1", "9" * 40, "%00"])
def test_page__unknown_experiment__is_not_found(browser: Client, project: Project, wanted: str) -> None:
    answer = browser.get(f"/projects/{project.pk}/experiments/{wanted}/")
    assert answer.status_code == 404
    assert "There is nothing here" in text_of(answer)


@pytest.mark.parametrize("wanted", ["999999", "x", "%00"])
@pytest.mark.parametrize("rest", ["", "1/"])
def test_page__unknown_project__is_not_found(browser: Client, wanted: str, rest: str) -> None:
    assert browser.get(f"/projects/{wanted}/experiments/{rest}").status_code == 404


def test_page__deleted_experiment__is_not_found(browser: Client, experiments: Experiments, project: Project) -> None:
    experiment = experiments.made()
    experiments.changed(experiment["id"], deleted=True)
    assert browser.get(path_of(experiment, project)).status_code == 404


def test_page__foreign_project__is_not_found(experiments: Experiments, project: Project, outsider: User) -> None:
    client = Client()
    client.force_login(outsider)
    for path in (path_of(experiments.running(), project), f"/projects/{project.pk}/experiments/"):
        assert client.get(path).status_code == 404
        assert client.post(path_of(experiments.read(Experiment.objects.get().pk), project)).status_code == 404
    assert not StoredAnswer.objects.exists()


def test_page__experiment_of_another_project__is_not_found(
    browser: Client, project: Project, foreign_project: Project, experiments: Experiments
) -> None:
    experiment = experiments.made()
    Experiment.objects.filter(pk=experiment["id"]).update(project=foreign_project)
    assert browser.get(path_of(experiment, project)).status_code == 404


def test_page__current_project__is_that_of_the_user(browser: Client, experiments: Experiments) -> None:
    assert browser.get(f"/projects/@current/experiments/{experiments.made()['id']}").status_code == 200


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_page__other_verbs__are_refused(
    browser: Client, experiments: Experiments, project: Project, method: str
) -> None:
    assert getattr(browser, method)(path_of(experiments.made(), project)).status_code == 405


def test_refresh__without_csrf_token__is_refused(experiments: Experiments, project: Project, member: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(member)
    assert client.post(path_of(experiments.running(), project)).status_code == 403


# --- What it shows ---------------------------------------------------------------------------------------------


def test_draft__shows_facts_and_no_results(browser: Client, experiments: Experiments, project: Project) -> None:
    experiment = experiments.made(description="Does it help?", metrics=[SIGNUP])
    text = text_of(browser.get(path_of(experiment, project)))
    assert "Blue button Draft" in text
    assert "Does it help?" in text
    assert "The experiment has not been started yet" in text
    assert re.search(r"control 50 % [^%]*· baseline", text)
    assert "Sign-up primary signup" in text
    assert "Exposures" not in text
    assert not StoredAnswer.objects.exists()


def test_draft__refresh__computes_nothing(browser: Client, experiments: Experiments, project: Project) -> None:
    path = path_of(experiments.made(), project)
    answer = browser.post(path)
    assert (answer.status_code, answer["Location"]) == (303, path)
    assert not StoredAnswer.objects.exists()


@pytest.mark.usefixtures("hundred")
def test_results__figures_are_those_of_the_api(browser: Client, experiments: Experiments, project: Project) -> None:
    experiment = experiments.stopped(metrics=[SIGNUP], metrics_secondary=[PURCHASES], stats_config=FREQUENTIST)
    page = browser.get(path_of(experiment, project))
    body = experiments.get(f"{experiment['id']}/results").json()
    assert body["is_cached"] is True  # by the page: one cut for both
    treatment = body["metrics"][0]["result"]["variant_results"][0]
    low, high = treatment["confidence_interval"]
    interval = f"{low * 100:+.1f} % to {high * 100:+.1f} %"
    p_values = [f"{treatment[name]:.3f}" for name in ("p_value", "p_value_adjusted")]
    figures = [f"{treatment['effect'] * 100:+.1f} %", interval, *p_values, "Significant, favourable"]
    effects = [row for row in re.findall(r"<table.*?</table>", page.content.decode(), re.DOTALL) if "Verdict" in row]
    cells = re.findall(r'<span class="mark">(.*?)</span></td>', effects[0].split("<tr")[-1])
    assert [unescape(cell).replace("\u00a0", " ") for cell in cells] == ["60", "30", "50.0 %", *figures]
    drawn = re.findall(r"<svg.*?</svg>", page.content.decode(), re.DOTALL)
    forest = [
        unescape(svg).replace("\u00a0", " ") for svg in drawn if f"[{interval}]" in unescape(svg).replace("\u00a0", " ")
    ]
    assert len(forest) == 2  # wide and narrow


@pytest.mark.usefixtures("hundred")
def test_results__exposures__are_counted_by_variant(
    browser: Client, experiments: Experiments, project: Project
) -> None:
    page = browser.get(path_of(experiments.stopped(), project))
    table = page.content.decode().partition("Exposed users by variant")[2].partition("</table>")[0]
    cells = re.findall(r'<span class="mark">(.*?)</span></td>', table)
    assert [cell.replace("\u00a0", " ") for cell in cells] == ["50 %", "60", "50.0 %", "60"] * 2
    assert "The split fits the rollout (chi-squared test, p = 1.000)." in text_of(page)


@pytest.mark.usefixtures("hundred")
def test_results__lower_is_better__says_so(browser: Client, experiments: Experiments, project: Project) -> None:
    experiment = experiments.stopped(metrics=[{**SIGNUP, "goal": "decrease"}])
    text = text_of(browser.get(path_of(experiment, project)))
    assert "Lower is better" in text
    assert "Chance to be higher" in text
    assert "Chance to win" not in text
    assert "Significant, unfavourable" in text


@pytest.mark.parametrize(("goal", "loser"), [("increase", "treatment"), ("decrease", "control")])
@pytest.mark.usefixtures("hundred")
def test_results__expected_loss__is_that_of_choosing_the_variant(
    browser: Client, experiments: Experiments, project: Project, goal: str, loser: str
) -> None:
    experiment = experiments.stopped(metrics=[{**SIGNUP, "goal": goal}])
    page = browser.get(path_of(experiment, project)).content.decode()
    body = experiments.get(f"{experiment['id']}/results").json()
    loss = body["metrics"][0]["result"]["variant_results"][0]["expected_loss"][loser]
    told = re.findall(r'Expected loss</small><span class="mark">([^<]+)<', page)
    assert [text.replace("\u00a0", " ") for text in told] == [f"{loss * 100:.1f} %"]


@pytest.mark.usefixtures("hundred")
def test_results__absolute_differences__are_percentage_points(
    browser: Client, experiments: Experiments, project: Project
) -> None:
    experiment = experiments.stopped(metrics=[SIGNUP], stats_config={"bayesian": {"difference_type": "ABSOLUTE"}})
    assert "+30.0 pp" in text_of(browser.get(path_of(experiment, project)))


def test_results__few_users__tell_the_reasons(
    browser: Client, experiments: Experiments, project: Project, capture: Callable[..., None]
) -> None:
    capture(*exposed("control", 3), *exposed("test", 3))
    text = text_of(browser.get(path_of(experiments.running(metrics=[SIGNUP]), project)))
    assert "No result. fewer than 50 were exposed, too little happened to judge" in text
    assert "Too few users to test whether the split is the configured one." in text


@pytest.mark.usefixtures("hundred")
def test_results__failing_metric__tells_why(browser: Client, experiments: Experiments, project: Project) -> None:
    table = {
        "kind": "ExperimentDataWarehouseNode",
        **dict.fromkeys(("table_name", "timestamp_field", "events_join_key", "data_warehouse_join_key"), "orders"),
    }
    text = text_of(browser.get(path_of(experiments.stopped(metrics=[{**PURCHASES, "source": table}]), project)))
    assert "No result Data warehouse tables are not connected to this project." in text


def test_results__nobody__tells_findings_in_words(browser: Client, experiments: Experiments, project: Project) -> None:
    page = browser.get(path_of(experiments.running(), project))
    text = text_of(page)
    assert "Warning Nobody has been exposed yet." in text
    assert "Warning The experiment has no metric." in text
    assert "<svg" not in page.content.decode()


def test_results__start_in_the_future__shows_a_page(
    browser: Client, experiments: Experiments, project: Project
) -> None:
    text = text_of(browser.get(path_of(experiments.made(start_date="2100-01-01T00:00:00Z"), project)))
    assert "Starts 1 Jan 2100, 00:00" in text


@pytest.mark.usefixtures("hundred")
def test_results__one_day__is_drawn_as_bars(browser: Client, experiments: Experiments, project: Project) -> None:
    experiment = experiments.made(start_date="2026-01-02T00:00:00Z", end_date="2026-01-02T12:00:00Z")
    assert "<svg" in browser.get(path_of(experiment, project)).content.decode()


@pytest.mark.usefixtures("hundred")
def test_results__conclusion__is_shown(browser: Client, experiments: Experiments, project: Project) -> None:
    experiment = experiments.stopped(conclusion="won", conclusion_comment="Ship it")
    text = text_of(browser.get(path_of(experiment, project)))
    assert "Won: Ship it" in text
    assert "the end of the experiment" in text


def test_results__no_variant_left__is_told_in_words(
    browser: Client, experiments: Experiments, project: Project
) -> None:
    experiment = experiments.running(metrics=[SIGNUP])
    Experiment.objects.update(excluded_variants=["control", "test"])
    answer = browser.get(path_of(experiment, project))
    assert answer.status_code == 200
    assert "No results Feature flag has no variants" in text_of(answer)


@pytest.fixture
def too_slow(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on no results can be computed in time."""

    def take_too_long(*args: Any, **kwargs: Any) -> None:
        raise StoreTimeout("too slow")

    return lambda: monkeypatch.setattr(report, "take_cut", take_too_long)


def test_results__time_limit_passed__is_told_in_words(
    browser: Client, experiments: Experiments, project: Project, too_slow: Callable[[], None]
) -> None:
    path = path_of(experiments.running(metrics=[SIGNUP]), project)
    too_slow()
    answer = browser.get(path)
    assert answer.status_code == 504
    assert "No results The query exceeded the time limit of 600 seconds." in text_of(answer)
    assert browser.post(path).status_code == 303


@pytest.mark.usefixtures("hundred")
def test_results__time_limit_passed__shows_the_last_ones(
    browser: Client, experiments: Experiments, project: Project, too_slow: Callable[[], None]
) -> None:
    path = path_of(experiments.running(metrics=[SIGNUP]), project)
    browser.get(path)
    too_slow()
    with override_settings(EXPERIMENT_RESULTS_FRESH_SECONDS_OPEN=0):
        text = text_of(browser.get(path))
    assert "No newer results The query exceeded the time limit of 600 seconds." in text
    assert "out of date, but the last there are" in text
    assert "Significant, favourable" in text


@override_settings(EVENTS_RETENTION_MONTHS=1)
def test_results__events_expired__claims_nothing(browser: Client, experiments: Experiments, project: Project) -> None:
    experiment = experiments.made(start_date="2020-01-01T00:00:00Z", metrics=[SIGNUP])
    text = text_of(browser.get(path_of(experiment, project)))
    assert "Exposed not known" in text
    assert "How many were exposed is not known any more." in text
    assert "No problem was found" not in text
    assert re.search(r"Sign-up Funnel · .* No result ", text)


# --- Freshness -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hundred")
def test_page__second_look__is_answered_from_the_cache(
    browser: Client, experiments: Experiments, project: Project
) -> None:
    path = path_of(experiments.running(metrics=[SIGNUP]), project)
    assert "Computed just now" in text_of(browser.get(path))
    assert "From the cache" in text_of(browser.get(path))


@pytest.mark.usefixtures("hundred")
def test_refresh__computes_anew_and_leads_back(browser: Client, experiments: Experiments, project: Project) -> None:
    path = path_of(experiments.running(metrics=[SIGNUP]), project)
    browser.get(path)
    first = StoredAnswer.objects.get().computed_at
    answer = browser.post(path)
    assert (answer.status_code, answer["Location"]) == (303, path)
    assert StoredAnswer.objects.get().computed_at > first


# --- Safety ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hundred")
def test_page__names__are_escaped(browser: Client, experiments: Experiments, project: Project) -> None:
    evil = "<script>alert(1)</script>"
    experiment = experiments.stopped(
        name=evil, description=evil, conclusion="won", conclusion_comment=evil, metrics=[{**SIGNUP, "name": evil}]
    )
    Project.objects.update(name=evil)
    for path in (path_of(experiment, project), f"/projects/{project.pk}/experiments/"):
        html = browser.get(path).content.decode()
        assert "<script" not in html
        assert "&lt;script&gt;alert(1)" in html


@pytest.mark.usefixtures("hundred")
def test_page__variant_keys__are_escaped_in_plots(browser: Client, experiments: Experiments, project: Project) -> None:
    experiment = experiments.stopped(metrics=[SIGNUP])
    flag = Experiment.objects.get(pk=experiment["id"]).feature_flag
    keys = ["control", "<b>test</b>"]
    flag.filters = {
        **flag.filters,
        "multivariate": {"variants": [{"key": key, "rollout_percentage": 50} for key in keys]},
    }
    flag.save()
    html = browser.get(path_of(experiment, project)).content.decode()
    assert "<b>" not in html
    assert "&lt;b&gt;test" in html


@pytest.mark.usefixtures("hundred")
def test_page__everything__comes_from_here_and_nothing_may_run(
    browser: Client, experiments: Experiments, project: Project
) -> None:
    answer = browser.get(path_of(experiments.stopped(metrics=[SIGNUP]), project))
    html = answer.content.decode()
    assert answer["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self';")
    assert re.findall(r'(?:src|href)="((?:https?:)?//[^"]+)"', html) == []
    assert "<script" not in html
    assert " style=" not in html
    assert "no-store" in answer["Cache-Control"]


# --- The list --------------------------------------------------------------------------------------------------


def test_list__shows_states_and_leads_to_each_page(browser: Client, experiments: Experiments, project: Project) -> None:
    draft = experiments.made(name="A draft", feature_flag_key="a")
    experiments.running(name="A running one", feature_flag_key="b")
    gone = experiments.made(name="A deleted one", feature_flag_key="c")
    experiments.changed(gone["id"], deleted=True)
    answer = browser.get(f"/projects/{project.pk}/experiments/")
    text = text_of(answer)
    assert re.search(r"A running one Running .* A draft Draft", text)
    assert "A deleted one" not in text
    assert f'href="/projects/{project.pk}/experiments/{draft["id"]}"' in answer.content.decode()


def test_list__no_experiment__says_so(browser: Client, project: Project) -> None:
    assert "There are no experiments in Shop yet." in text_of(browser.get(f"/projects/{project.pk}/experiments/"))


def test_list__many__are_paged(
    browser: Client, experiments: Experiments, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "PAGE_SIZE", 2)
    for number in range(3):
        experiments.made(name=f"Number {number}", feature_flag_key=f"flag-{number}")
    path = f"/projects/{project.pk}/experiments/"
    first, second = (text_of(browser.get(path, {"page": page})) for page in ("not a number", "2"))
    assert re.search(r"Number 2 .* Number 1 .* Page 1 of 2 Older", first)
    assert "Number 0" not in first
    assert "Number 0" in second


def test_list__more_experiments__need_no_more_queries(
    browser: Client, experiments: Experiments, project: Project
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            browser.get(f"/projects/{project.pk}/experiments/")
        return len(captured)

    experiments.made(name="One", feature_flag_key="flag-one")
    before = queries()
    for number in range(4):
        experiments.running(name=f"Number {number}", feature_flag_key=f"flag-{number}")
    assert queries() == before


def test_landing__leads_to_the_list(browser: Client, project: Project) -> None:
    html = browser.get("/", headers={"accept": "text/html"}).content.decode()
    assert f'href="/projects/{project.pk}/experiments"' in html

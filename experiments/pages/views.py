"""The pages of experiments for people: a project's list, and one experiment with its results."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from common.datetimes import format_datetime
from common.errors import Invalid, Missing
from events.store.base import StoreTimeout
from experiments.lifecycle import State, state_of
from experiments.models import Experiment
from experiments.pages import figures, words
from experiments.pages.content import Results, results_of
from experiments.results import report, requests
from experiments.results.settings import baseline_of, settings_of
from feature_flags.validation.variants import variants_of
from projects.access import CURRENT, parse_id
from projects.models import Project, User

PAGE_SIZE = 50
# Everything a page needs comes from here, and nothing in it may run.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
STATES: Mapping[State, str] = {
    State.DRAFT: "Draft",
    State.RUNNING: "Running",
    State.PAUSED: "Paused",
    State.STOPPED: "Stopped",
    State.ARCHIVED: "Archived",
}


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant of the flag as it is configured now."""

    key: str
    name: str
    rollout: str
    note: str


@require_safe
@never_cache
@login_required
def experiment_list(request: HttpRequest, project_id: str) -> HttpResponse:
    """The experiments of a project, the newest first."""
    try:
        project = _project(request, project_id)
    except Missing:
        return _missing(request)
    found = Experiment.objects.filter(project=project, deleted=False).select_related("feature_flag")
    page = Paginator(found.order_by("-created_at", "-pk"), PAGE_SIZE).get_page(request.GET.get("page"))
    listed = [
        {
            "url": reverse("experiment-page", args=[project.pk, one.pk]),
            "name": one.name,
            "state": STATES[state_of(one)],
            "state_code": state_of(one).value,
            "flag_key": one.feature_flag.plain_key,
            "when": _when(one, zone=project.timezone),
        }
        for one in page.object_list
    ]
    return _page(request, "experiments/list.html", {"project": project, "page": page, "experiments": listed})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def experiment_page(request: HttpRequest, project_id: str, experiment_id: str) -> HttpResponse:
    """An experiment: its facts, and once it has been started what it has found out. POST computes that anew."""
    try:
        project = _project(request, project_id)
        experiment = _experiment(project, experiment_id)
    except Missing:
        return _missing(request)
    if request.method == "POST":
        return _refreshed(request, experiment)
    answer, problem, status = _answer(experiment)
    context = {
        **_facts(experiment),
        "project": project,
        "experiment": experiment,
        "results": None if answer is None else _results(experiment, answer),
        "freshness": None if answer is None else _freshness(answer, zone=project.timezone),
        "problem": problem,
    }
    return _page(request, "experiments/results.html", context, status=status)


def _answer(experiment: Experiment) -> tuple[dict[str, Any] | None, str, int]:
    """The results of a started experiment, what is to be said of them, and the status of the page."""
    if experiment.start_date is None:
        return None, "", 200
    try:
        return requests.results(experiment), "", 200
    except Invalid as refusal:
        return None, refusal.detail, 200
    except StoreTimeout:
        return requests.stored_results(experiment), report.timeout_text(), 504


def _refreshed(request: HttpRequest, experiment: Experiment) -> HttpResponse:
    # What is wrong the page itself says.
    with suppress(Invalid, StoreTimeout):
        requests.results(experiment, refresh=True)
    return HttpResponseRedirect(request.path, status=303)


def _project(request: HttpRequest, path_id: str) -> Project:
    """The project of the path. Raises Missing when there is none or the user is no member of its organization."""
    user = request.user
    if not isinstance(user, User):
        raise Missing
    project_id = user.current_project_id if path_id == CURRENT else parse_id(path_id)
    projects = Project.objects.filter(organization__memberships__user=user)
    project = None if project_id is None else projects.filter(pk=project_id).first()
    if project is None:
        raise Missing
    request.project_id = project.pk  # type: ignore[attr-defined]  # for the request's log line
    return project


def _experiment(project: Project, path_id: str) -> Experiment:
    experiment_id = parse_id(path_id)
    rows = Experiment.objects.select_related("feature_flag", "holdout").filter(project=project, deleted=False)
    found = None if experiment_id is None else rows.filter(pk=experiment_id).first()
    if found is None:
        raise Missing
    found.project = project
    return found


def _missing(request: HttpRequest) -> HttpResponse:
    return _page(request, "experiments/missing.html", {}, status=404)


def _page(request: HttpRequest, template: str, context: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    answer = render(request, template, dict(context), status=status)
    answer["Content-Security-Policy"] = POLICY
    return answer


def _unit(experiment: Experiment) -> str:
    grouped = experiment.feature_flag.filters.get("aggregation_group_type_index") is not None
    return "group" if grouped else "user"


def _results(experiment: Experiment, answer: Mapping[str, Any]) -> Results:
    shares = {
        variant["key"]: float(variant["rollout_percentage"]) for variant in variants_of(experiment.feature_flag.filters)
    }
    documents = {listed.uuid: listed.document for listed in report.listed_metrics(experiment)}
    return results_of(answer, documents=documents, shares=shares, unit=_unit(experiment))


def _facts(experiment: Experiment) -> dict[str, Any]:
    flag = experiment.feature_flag
    state = state_of(experiment)
    project_id = experiment.project_id
    urls = {
        "flag_url": reverse("feature_flags-detail", kwargs={"project_id": project_id, "pk": flag.pk}),
        "experiment_url": reverse("experiments-detail", kwargs={"project_id": project_id, "pk": experiment.pk}),
        "results_url": reverse("experiments-results", kwargs={"project_id": project_id, "pk": experiment.pk}),
        "exposures_url": reverse("experiments-exposures", kwargs={"project_id": project_id, "pk": experiment.pk}),
    }
    settings = settings_of(experiment.stats_config).shown()
    return {
        **urls,
        "state": STATES[state],
        "state_code": state.value,
        "when": _when(experiment, zone=experiment.project.timezone),
        "flag": flag,
        "flag_key": flag.plain_key,
        "variants": _variants(experiment),
        "method": words.method(settings),
        "metrics": [
            {
                "name": listed.name or words.KINDS.get(listed.document["metric_type"], "Metric"),
                "role": listed.role,
                "definition": words.definition(listed.document),
            }
            for listed in report.listed_metrics(experiment)
        ],
    }


def _variants(experiment: Experiment) -> list[Variant]:
    configured = variants_of(experiment.feature_flag.filters)
    analysed = [one["key"] for one in configured if one["key"] not in experiment.excluded_variants]
    baseline = baseline_of(experiment.stats_config, analysed) if analysed else None
    notes = dict.fromkeys(experiment.excluded_variants, "left out of the analysis")
    if baseline is not None:
        notes[baseline] = "baseline"
    return [
        Variant(
            key=one["key"],
            name=one.get("name") or "",
            rollout=figures.rollout(float(one["rollout_percentage"])),
            note=notes.get(one["key"], ""),
        )
        for one in configured
    ]


def _when(experiment: Experiment, *, zone: str) -> str:
    """When the experiment ran, in a few words."""
    start, end = experiment.start_date, experiment.end_date
    now = timezone.now()
    if start is None:
        return f"Created {figures.moment(experiment.created_at, zone=zone)}"
    if start > now:
        return f"Starts {figures.moment(start, zone=zone)}"
    if end is None:
        return f"Since {figures.moment(start, zone=zone)} ({figures.span(now - start)})"
    return f"{figures.moment(start, zone=zone)} to {figures.moment(end, zone=zone)} ({figures.span(end - start)})"


def _freshness(answer: Mapping[str, Any], *, zone: str) -> dict[str, Any]:
    as_of, fresh_until = (datetime.fromisoformat(answer[name]) for name in ("as_of", "fresh_until"))
    return {
        "as_of": figures.moment(as_of, zone=zone),
        "as_of_exactly": format_datetime(as_of),
        "fresh_until": figures.moment(fresh_until, zone=zone),
        "is_cached": answer["is_cached"],
        "is_fresh": fresh_until > timezone.now(),
        "closed": answer["window"]["closed"],
        "zone": zone,
    }

"""How many experiments a project launches, runs and completes."""

from datetime import datetime, time, timedelta
from typing import TypedDict
from zoneinfo import ZoneInfo

from django.db.models import Count, Q
from django.utils import timezone

from experiments.models import Experiment
from projects.models import Project


class LaunchStatistics(TypedDict):
    launched_last_30d: int
    launched_previous_30d: int
    percent_change: float
    active_experiments: int
    completed_last_30d: int


def of_project(project: Project) -> LaunchStatistics:
    """Counts over experiments neither deleted nor archived; days are those of the project's timezone. One query."""
    zone = ZoneInfo(project.timezone)
    today = timezone.now().astimezone(zone).date()

    def midnight(days_from_today: int) -> datetime:
        return datetime.combine(today + timedelta(days=days_from_today), time.min, tzinfo=zone)

    last = Q(start_date__gte=midnight(-30), start_date__lt=midnight(1))
    previous = Q(start_date__gte=midnight(-60), start_date__lt=midnight(-30))
    counts = Experiment.objects.filter(project=project, deleted=False, archived=False).aggregate(
        launched=Count("pk", filter=last),
        before=Count("pk", filter=previous),
        active=Count("pk", filter=Q(start_date__isnull=False, end_date__isnull=True)),
        completed=Count("pk", filter=Q(end_date__gte=midnight(-30), end_date__lt=midnight(1))),
    )
    return {
        "launched_last_30d": counts["launched"],
        "launched_previous_30d": counts["before"],
        "percent_change": percent_change(counts["before"], counts["launched"]),
        "active_experiments": counts["active"],
        "completed_last_30d": counts["completed"],
    }


def percent_change(before: int, now: int) -> float:
    """Relative change in percent, one decimal; from nothing to something counts as 100, nothing to nothing as 0."""
    if before == 0:
        return 100.0 if now else 0.0
    return round((now - before) / before * 100, 1)

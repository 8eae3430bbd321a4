"""Background jobs of this app."""

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone
from procrastinate.contrib.django import app

from cohorts import calculation, services, static_members
from cohorts.models import Cohort

EVERY = timedelta(hours=23)
# A cohort that failed so often waits for new criteria.
MAX_ERRORS = 20


@app.task(name="cohorts.calculate")
def calculate_cohort(cohort_id: int) -> None:
    """After a change of criteria, and daily: calculate the persons of one cohort."""
    calculation.calculate(cohort_id)


@app.periodic(cron="11 * * * *")
@app.task(name="cohorts.calculate_old", queueing_lock="cohorts.calculate_old")
def calculate_old_cohorts(timestamp: int) -> int:
    """Hourly: queue the dynamic cohorts whose persons are about a day old; returns how many."""
    old = Q(last_calculation=None) | Q(last_calculation__lt=timezone.now() - EVERY)
    due = Cohort.objects.filter(old, deleted=False, is_static=False, errors_calculating__lt=MAX_ERRORS)
    ids = list(due.order_by("last_calculation", "pk").values_list("pk", flat=True))
    for cohort_id in ids:
        services.defer_calculation(cohort_id)
    return len(ids)


@app.periodic(cron="29 * * * *")
@app.task(name="cohorts.recount_static", queueing_lock="cohorts.recount_static")
def recount_static_cohorts(timestamp: int) -> int:
    """Hourly: take deleted and merged persons out of the counts of static cohorts; returns how many changed."""
    return static_members.recount()

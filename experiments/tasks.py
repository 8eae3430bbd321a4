"""Background jobs of this app."""

from django.utils import timezone
from procrastinate.contrib.django import app

from experiments.results import preaggregation, recalculations, removal, rollups, schedule, timeseries


@app.periodic(cron="*/5 * * * *")
@app.task(name="experiments.preaggregate_exposures", queueing_lock="experiments.preaggregate_exposures")
def preaggregate_exposures(timestamp: int) -> int:
    """Every few minutes: keep the exposures of ended days in advance, for the experiments that want it."""
    return preaggregation.keep_up_to_date()


@app.periodic(cron="* * * * *")
@app.task(name="experiments.roll_up_metrics", queueing_lock="experiments.roll_up_metrics")
def roll_up_metrics(timestamp: int) -> int:
    """Every minute: keep the values of metrics in advance, for the experiments that want it."""
    return rollups.keep_up_to_date()


@app.task(name="experiments.fill_timeseries")
def fill_timeseries(experiment_id: int) -> None:
    """Daily, and after the end of an experiment: store what is missing of its metrics' timeseries."""
    timeseries.fill(experiment_id)


@app.task(name="experiments.recalculate_timeseries")
def recalculate_timeseries(recalculation_id: str) -> None:
    """On request: compute a metric's timeseries anew."""
    recalculations.run(recalculation_id)


@app.periodic(cron="* * * * *")
@app.task(name="experiments.queue_timeseries", queueing_lock="experiments.queue_timeseries")
def queue_timeseries(timestamp: int) -> int:
    """Every minute: queue the timeseries that are due, and recalculations whose worker is gone."""
    return schedule.queue_due(now=timezone.now()) + recalculations.resume_abandoned()


@app.periodic(cron="53 3 * * *")
@app.task(name="experiments.remove_old_answers", queueing_lock="experiments.remove_old_answers", retry=3)
def remove_old_answers(timestamp: int) -> int:
    """Daily: remove the stored answers and ended recalculations that nothing reads any more."""
    return removal.remove_old(now=timezone.now())

"""Background jobs of this app."""

from procrastinate.contrib.django import app

from experiments.results import preaggregation


@app.periodic(cron="*/5 * * * *")
@app.task(name="experiments.preaggregate_exposures", queueing_lock="experiments.preaggregate_exposures")
def preaggregate_exposures(timestamp: int) -> int:
    """Every few minutes: keep the exposures of ended days in advance, for the experiments that want it."""
    return preaggregation.keep_up_to_date()

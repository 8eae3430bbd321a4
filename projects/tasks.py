"""Background jobs of this app."""

from procrastinate.contrib.django import app

from projects.throttling import forget_ended_windows


@app.periodic(cron="17 * * * *")
@app.task(name="projects.forget_ended_windows", queueing_lock="projects.forget_ended_windows")
def forget_throttling_windows(timestamp: int) -> int:
    """Hourly: drop the throttling counters of keys that have been quiet for an hour."""
    return forget_ended_windows()

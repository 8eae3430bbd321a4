"""Background jobs of this app."""

from django.utils import timezone
from procrastinate.contrib.django import app

from feature_flags.schedules import apply_due


@app.periodic(cron="* * * * *")
@app.task(name="feature_flags.apply_scheduled_changes", queueing_lock="feature_flags.apply_scheduled_changes")
def apply_scheduled_changes(timestamp: int) -> int:
    """Every minute: make the scheduled changes of flags that are due."""
    return apply_due(now=timezone.now())

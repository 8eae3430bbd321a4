"""Background jobs of this app."""

from procrastinate.contrib.django import app

from approvals.requests import expire_overdue, mark_stale


@app.periodic(cron="*/10 * * * *")
@app.task(name="approvals.keep_up_requests", queueing_lock="approvals.keep_up_requests")
def keep_up_requests(timestamp: int) -> int:
    """Every ten minutes: write down which change requests have expired and which have become stale."""
    return expire_overdue() + mark_stale()

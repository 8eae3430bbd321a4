"""The experiment of the demo shop, running for two to three weeks already, and the visitors it has seen."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection, transaction

from events import ingestion
from events.incoming import IncomingEvent
from experiments import parameters, services, stats_config
from experiments.models import Experiment
from experiments_service.demo import shop
from projects.models import Project, User

NAME = "One-page checkout"
DESCRIPTION = (
    "Three steps lose people between cart and payment. Does one page bring more of them to the end, and do wallet "
    "buttons help further? Made by the demo: the shop and its visitors are invented."
)
BATCH_SIZE = 10_000
# Any number that nothing else locks: two demos at once make one experiment.
_LOCK = 7226041332


def _source(event: str, **more: Any) -> dict[str, Any]:
    return {"kind": "EventsNode", "event": event, **more}


def _metric(metric_type: str, name: str, *, goal: str = "increase", **fields: Any) -> dict[str, Any]:
    return {"kind": "ExperimentMetric", "metric_type": metric_type, "name": name, "goal": goal, **fields}


PRIMARY = [
    _metric(
        "funnel",
        "Checkout completed",
        series=[_source("cart_viewed"), _source("checkout_started"), _source("purchase")],
    ),
    _metric(
        "mean",
        "Revenue per visitor",
        source=_source("purchase", math="sum", math_property="amount"),
        upper_bound_percentile=0.99,
    ),
]
SECONDARY = [
    _metric("mean", "Failed payments per visitor", goal="decrease", source=_source("payment_failed")),
    _metric(
        "ratio",
        "Value of an order",
        numerator=_source("purchase", math="sum", math_property="amount"),
        denominator=_source("purchase"),
    ),
    _metric("mean", "Products viewed per visitor", source=_source("product_viewed")),
    _metric(
        "retention",
        "Came back within a week",
        start_event=_source("cart_viewed"),
        completion_event=_source("$pageview"),
        retention_window_start=1,
        retention_window_end=7,
        retention_window_unit="day",
        start_handling="first_seen",
    ),
]


def existing(project: Project) -> Experiment | None:
    """The demo of a project, also a deleted one."""
    keys = [shop.FLAG_KEY, f"{shop.FLAG_KEY}:deleted:"]
    found = Experiment.objects.filter(project=project, feature_flag__key__startswith=keys[0]).order_by("pk")
    return next((one for one in found.select_related("feature_flag") if one.feature_flag.plain_key == keys[0]), None)


def started_at(now: datetime, project: Project) -> datetime:
    """Eight in the morning of the Monday before last, where the project is: every demo has the same weekdays."""
    local = now.astimezone(ZoneInfo(project.timezone))
    monday = local - timedelta(days=local.weekday() + 14)
    return monday.replace(hour=8, minute=0, second=0, microsecond=0)


def fill(*, project: Project, visitors: int, start: datetime, until: datetime) -> Iterator[int]:
    """Store what the visitors did, batch by batch; yields how many visitors are done. What is stored is left alone."""
    batch: list[list[IncomingEvent]] = []
    waiting = 0
    for done, visit in enumerate(shop.events(visitors=visitors, start=start, until=until), 1):
        batch.append(visit)
        waiting += len(visit)
        if waiting >= BATCH_SIZE or done == visitors:
            ingestion.store(project=project, events=list(chain.from_iterable(batch)))
            batch, waiting = [], 0
            yield done


@transaction.atomic
def create(*, project: Project, user: User, start: datetime) -> Experiment:
    """The demo experiment of a project, launched at `start`; the one that is there if somebody was faster.

    Raises the refusals of `experiments.services.create_experiment`.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    present = existing(project)
    if present is not None:
        return present
    variants = [
        {"key": key, "name": name, "rollout_percentage": weight} for key, (name, weight) in shop.VARIANTS.items()
    ]
    return services.create_experiment(
        project=project,
        user=user,
        fields={
            "name": NAME,
            "description": DESCRIPTION,
            "feature_flag_key": shop.FLAG_KEY,
            "start_date": start,
            "parameters": parameters.parse_parameters(
                {"feature_flag_variants": variants, "minimum_detectable_effect": 10}
            ),
            "metrics": PRIMARY,
            "metrics_secondary": SECONDARY,
            "stats_config": stats_config.parse({"method": "bayesian", "cuped": {"enabled": True}}),
        },
    )

"""The query parameters of experiment lists, for the OpenAPI document."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from common.api.openapi_parameters import order_by
from experiments.api.filters import ORDERS, STATUSES
from feature_flags.models import EvaluationRuntime

LIST_PARAMETERS = [
    OpenApiParameter(
        "status",
        OpenApiTypes.STR,
        enum=STATUSES,
        description="`complete` means `stopped`, `all` does not filter. Any case.",
    ),
    OpenApiParameter(
        "archived", OpenApiTypes.BOOL, default=False, description="true: only archived experiments; else only others."
    ),
    OpenApiParameter("feature_flag_id", OpenApiTypes.INT64, description="Experiments on this feature flag."),
    OpenApiParameter("created_by_id", OpenApiTypes.INT64, description="Experiments this user created."),
    OpenApiParameter("holdout_id", OpenApiTypes.INT64, description="Experiments with this holdout."),
    OpenApiParameter("search", OpenApiTypes.STR, description="Part of the name or of the flag's key, in any case."),
    OpenApiParameter(
        "event",
        OpenApiTypes.STR,
        description="Experiments with a metric, inline or saved, on the event of this name, also through an action.",
    ),
    OpenApiParameter("folder", OpenApiTypes.STR, description="Experiments whose folder starts with this text."),
    order_by(ORDERS, default="-created_at"),
]

ELIGIBLE_FLAGS_PARAMETERS = [
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
        description="How many flags to show at most.",
    ),
    OpenApiParameter(
        "offset", {"type": "integer", "minimum": 0, "default": 0}, description="How many flags to leave out before."
    ),
    OpenApiParameter("search", OpenApiTypes.STR, description="Part of the key or of the name, in any case."),
    OpenApiParameter("active", OpenApiTypes.BOOL, description="Only flags that are switched on, or off."),
    OpenApiParameter("created_by_id", OpenApiTypes.INT64, description="Flags this user created."),
    OpenApiParameter(
        "evaluation_runtime",
        OpenApiTypes.STR,
        enum=EvaluationRuntime.values,
        description="Flags evaluated there.",
    ),
    OpenApiParameter(
        "has_evaluation_contexts", OpenApiTypes.BOOL, description="Only flags with, or without, evaluation contexts."
    ),
    OpenApiParameter(
        "has_evaluation_tags", OpenApiTypes.BOOL, description="Another name of `has_evaluation_contexts`."
    ),
    order_by(["created_at", "key", "name"], default="-created_at"),
]

FLAG_IMPLEMENTATION_PARAMETERS = [
    OpenApiParameter(
        "events", OpenApiTypes.STR, description='A JSON array of event names to look at, such as `["$pageview"]`.'
    ),
    OpenApiParameter("actions", OpenApiTypes.STR, description="A JSON array of action ids to look at."),
]

"""The query parameters of the list of flags, for the OpenAPI document."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from common.api.openapi_parameters import comma_list, order_by
from feature_flags.api.filters import MAX_SEARCH, ORDERS
from feature_flags.models import EvaluationRuntime

LIST_PARAMETERS = [
    OpenApiParameter(
        "active",
        OpenApiTypes.STR,
        enum=["true", "false", "STALE"],
        description="Flags that are switched on or off. `STALE`: those that nothing seems to need any more.",
    ),
    OpenApiParameter(
        "archived", OpenApiTypes.BOOL, default=False, description="true: only archived flags; else only others."
    ),
    comma_list("created_by_id", OpenApiTypes.INT64, description="Flags that one of these users created."),
    OpenApiParameter(
        "search",
        {"type": "string", "maxLength": MAX_SEARCH},
        description="Part of the key, of the name, or of the name of an experiment on the flag, in any case.",
    ),
    OpenApiParameter("key", OpenApiTypes.STR, description="The flag of this key, in any case."),
    OpenApiParameter(
        "type",
        OpenApiTypes.STR,
        enum=["boolean", "multivariant", "experiment", "remote_config"],
        description="`boolean`: without variants; `experiment`: used by an experiment.",
    ),
    OpenApiParameter(
        "evaluation_runtime", OpenApiTypes.STR, enum=EvaluationRuntime.values, description="Flags evaluated there."
    ),
    comma_list("excluded_properties", description="Leaves out the flags of these keys."),
    comma_list("tags", description="Flags with one of these tags."),
    comma_list("excluded_tags", description="Flags with none of these tags."),
    OpenApiParameter(
        "has_evaluation_contexts", OpenApiTypes.BOOL, description="Only flags with, or without, evaluation contexts."
    ),
    OpenApiParameter(
        "eligible_for_experiment",
        OpenApiTypes.BOOL,
        description="true: only flags that an experiment can be made on.",
    ),
    order_by(ORDERS, default="-created_at"),
]

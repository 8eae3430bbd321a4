"""Describes scheduled changes."""

from typing import Annotated, Any, Literal

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from pydantic import Field
from rest_framework import serializers

from common.api.shape_field import ShapeField
from common.api.shape_schemas import named
from common.shapes import Shape
from feature_flags.models import ScheduledChange
from feature_flags.schedules import MODEL_NAME
from projects.api.user_basic import UserBasicSerializer

Document = dict[str, Any]


class ReleaseConditions(Shape):
    """Condition sets to add; the others are set when given."""

    groups: list[Document]
    payloads: dict[str, str] | None = None
    multivariate: Document | None = None


class VariantsAndPayloads(Shape):
    """What takes the place of the flag's variants and payloads."""

    variants: list[Document]
    payloads: dict[str, str] | None = None


class UpdateStatus(Shape):
    operation: Literal["update_status"]
    value: bool


class AddReleaseCondition(Shape):
    operation: Literal["add_release_condition"]
    value: ReleaseConditions


class UpdateVariants(Shape):
    operation: Literal["update_variants"]
    value: VariantsAndPayloads


ScheduledChangePayload = named(
    "ScheduledChangePayload",
    Annotated[UpdateStatus | AddReleaseCondition | UpdateVariants, Field(discriminator="operation")],
)


class PayloadField(ShapeField):
    """What is to be done; judged by `feature_flags.schedules`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(ScheduledChangePayload, **options)


class ChangeRequestOfScheduleSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    state = serializers.CharField()


class ScheduledChangeSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    team_id = serializers.IntegerField()
    record_id = serializers.CharField()
    model_name = serializers.ChoiceField(choices=[MODEL_NAME])
    payload = PayloadField()
    scheduled_at = serializers.DateTimeField()
    executed_at = serializers.DateTimeField(allow_null=True)
    failure_reason = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    created_by = UserBasicSerializer(allow_null=True)
    updated_at = serializers.DateTimeField()
    is_recurring = serializers.BooleanField()
    recurrence_interval = serializers.ChoiceField(choices=ScheduledChange.Interval.choices, allow_null=True)
    cron_expression = serializers.CharField(allow_null=True)
    last_executed_at = serializers.DateTimeField(allow_null=True)
    end_date = serializers.DateTimeField(allow_null=True)
    timezone = serializers.CharField()
    change_request = ChangeRequestOfScheduleSerializer(allow_null=True)


LIST_PARAMETERS = [
    OpenApiParameter("model_name", OpenApiTypes.STR, enum=[MODEL_NAME], description="Changes of this kind of object."),
    OpenApiParameter("record_id", OpenApiTypes.STR, description="Changes of the flag with this id."),
]

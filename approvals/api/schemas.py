"""What the bodies of this app look like: requests are read by these classes, answers described."""

from datetime import timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    PolymorphicProxySerializer,
    extend_schema_field,
    extend_schema_serializer,
)
from rest_framework import serializers

from approvals.families import ACTION_KEYS
from approvals.models import ChangeRequestState, Decision, ValidationStatus
from common.api.fields import AboveValidator, BooleanField
from common.api.serializers import RequestSerializer
from common.documents import dumps
from projects.api.user_basic import UserBasicSerializer

MAX_LISTED = 1000
MAX_CONDITIONS = 10_000
MAX_REASON = 4000
LONGEST = timedelta(days=3650)

POLICY_LIST_PARAMETERS = [
    OpenApiParameter("action_key", OpenApiTypes.STR, enum=ACTION_KEYS, description="Only the policy of this key."),
    OpenApiParameter("enabled", OpenApiTypes.BOOL, description="Only policies that are, or are not, in force."),
]
LIST_PARAMETERS = [
    OpenApiParameter(
        "state",
        {"type": "array", "items": {"type": "string", "enum": ChangeRequestState.values}},
        style="form",
        explode=False,
        description="Only requests in these states.",
    ),
    OpenApiParameter("action_key", OpenApiTypes.STR, enum=ACTION_KEYS, description="Only those of this policy key."),
    OpenApiParameter("requester", OpenApiTypes.INT64, description="Only those of the user with this id."),
    OpenApiParameter("resource_type", OpenApiTypes.STR, description="`feature_flag` or `experiment_holdout`."),
    OpenApiParameter("resource_id", OpenApiTypes.STR, description="Only those about the resource with this id."),
]


# --- Policies --------------------------------------------------------------------------------------------------------


class ApproverConfigSerializer(serializers.Serializer[Any]):
    quorum = serializers.IntegerField(required=False, default=1, help_text="How many must approve.")
    users = serializers.ListField(
        child=serializers.IntegerField(),
        max_length=MAX_LISTED,
        required=False,
        default=list,
        help_text="The ids of users who may approve.",
    )
    roles = serializers.ListField(
        child=serializers.CharField(),
        max_length=MAX_LISTED,
        required=False,
        default=list,
        help_text="The ids of roles whose members may approve.",
    )


@extend_schema_field(
    {
        "type": "object",
        "description": "Which changes the policy is about, such as "
        '`{"type": "before_after", "field": "rollout_percentage", "operator": ">", "value": 50}`; empty: all. What '
        "cannot be understood gates everything.",
        "properties": {
            "type": {
                "type": "string",
                "description": "before_after: a value after the change satisfies the comparison; change_amount: a "
                "difference does; any_change: a value differs.",
            },
            "field": {"type": "string", "description": "rollout_percentage, exclusion_percentage or active."},
            "operator": {"type": "string", "description": "One of >, <, >=, <=, == and !=."},
            "value": {"anyOf": [{"type": "number"}, {"type": "boolean"}]},
        },
        "additionalProperties": {},
    }
)
class ConditionsField(serializers.DictField):
    """Conditions as sent, within a bound."""

    default_error_messages = {"too_long": "Ensure this field has no more than {max_length} characters."}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("not_a_dict", input_type=type(data).__name__)
        if len(dumps(data)) > MAX_CONDITIONS:
            raise serializers.ValidationError(
                self.error_messages["too_long"].format(max_length=MAX_CONDITIONS), code="max_length"
            )
        return data


@extend_schema_field({"type": "array", "items": {"type": "integer"}})
class LevelsField(serializers.ListField):
    """Membership levels."""

    def to_internal_value(self, data: Any) -> list[int]:
        levels: list[Any] = super().to_internal_value(data)
        if any(isinstance(level, bool) or not isinstance(level, int) for level in levels):
            raise serializers.ValidationError("All membership levels must be integers")
        return list(dict.fromkeys(levels))


@extend_schema_serializer(component_name="ApprovalPolicy")
class ApprovalPolicyRequest(RequestSerializer):
    """A creation, or with `partial` a PATCH."""

    action_key = serializers.ChoiceField(choices=ACTION_KEYS)
    conditions = ConditionsField(required=False)
    approver_config = ApproverConfigSerializer()
    allow_self_approve = BooleanField(required=False)
    enabled = BooleanField(required=False)
    bypass_org_membership_levels = LevelsField(
        required=False, max_length=MAX_LISTED, help_text="Members of these levels need no approval."
    )
    bypass_roles = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        max_length=MAX_LISTED,
        help_text="Members of these roles need no approval.",
    )
    expires_after = serializers.DurationField(
        required=False,
        max_value=LONGEST,
        validators=[AboveValidator(timedelta(0))],
        help_text="How long a request waits, as `D HH:MM:SS`; default `14 00:00:00`.",
    )


class ApprovalPolicySerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    action_key = serializers.ChoiceField(choices=ACTION_KEYS)
    conditions = ConditionsField()
    approver_config = ApproverConfigSerializer()
    allow_self_approve = serializers.BooleanField()
    enabled = serializers.BooleanField()
    bypass_org_membership_levels = LevelsField()
    bypass_roles = serializers.ListField(child=serializers.UUIDField())
    expires_after = serializers.CharField(help_text="`D HH:MM:SS`")
    created_by = UserBasicSerializer(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


# --- Change requests -------------------------------------------------------------------------------------------------


class PathValueSerializer(serializers.Serializer[Any]):
    path = serializers.CharField(help_text="Such as `groups[0].rollout_percentage`.")
    value = serializers.FloatField(allow_null=True, help_text="null: there is none at that path.")


class GatedValuesSerializer(serializers.Serializer[Any]):
    """The values that approvers look at, before or after a change."""

    active = serializers.BooleanField(required=False)
    rollout_percentage = PathValueSerializer(many=True, required=False)
    exclusion_percentage = serializers.FloatField(required=False)
    deleted = serializers.BooleanField(required=False)


class PreconditionsSerializer(serializers.Serializer[Any]):
    version = serializers.IntegerField(help_text="Of the feature flag.")
    updated_at = serializers.DateTimeField(help_text="Of the feature flag.")
    experiment_updated_at = serializers.DateTimeField(required=False)


class AffectedExperimentSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    flag_key = serializers.CharField()


def _act(name: str) -> serializers.ChoiceField:
    return serializers.ChoiceField(choices=[name])


class _IntentSerializer(serializers.Serializer[Any]):
    http_method = serializers.CharField()
    flag_id = serializers.IntegerField(allow_null=True, help_text="null: the feature flag is to be created.")
    flag_key = serializers.CharField()
    experiment_id = serializers.IntegerField(allow_null=True)
    experiment_name = serializers.CharField(allow_null=True)
    current_state = GatedValuesSerializer(allow_null=True)
    gated_changes = GatedValuesSerializer()
    triggered_paths = serializers.ListField(child=serializers.CharField())
    full_request_data = serializers.DictField(help_text="The change as it is to be applied; secrets are hidden.")
    preconditions = PreconditionsSerializer(allow_null=True, help_text="What the change was made on.")


class _HoldoutIntentSerializer(serializers.Serializer[Any]):
    http_method = serializers.CharField()
    holdout_id = serializers.IntegerField()
    holdout_name = serializers.CharField()
    current_state = GatedValuesSerializer()
    gated_changes = GatedValuesSerializer()
    desired_changes = serializers.DictField()
    affected_experiments = AffectedExperimentSerializer(many=True)


FLAG_ACTS = ("launch", "resume", "pause", "ship_variant", "update", "create", "enable", "disable")
HOLDOUT_ACTS = ("holdout_update", "holdout_delete")


def _kind(act: str, base: type[serializers.Serializer[Any]]) -> type[serializers.Serializer[Any]]:
    name = "".join(part.capitalize() for part in act.split("_"))
    return type(f"{name}IntentSerializer", (base,), {"act": _act(act)})


INTENTS: dict[str, type[serializers.Serializer[Any]] | serializers.Serializer[Any]] = {
    **{act: _kind(act, _IntentSerializer) for act in FLAG_ACTS},
    **{act: _kind(act, _HoldoutIntentSerializer) for act in HOLDOUT_ACTS},
}


class IntentDisplaySerializer(serializers.Serializer[Any]):
    description = serializers.CharField()
    before = GatedValuesSerializer(allow_null=True)
    after = GatedValuesSerializer()
    triggered_paths = serializers.ListField(child=serializers.CharField(), required=False)


class PolicySnapshotSerializer(serializers.Serializer[Any]):
    quorum = serializers.IntegerField()
    users = serializers.ListField(child=serializers.IntegerField())
    roles = serializers.ListField(child=serializers.UUIDField())
    allow_self_approve = serializers.BooleanField()
    conditions = ConditionsField()
    bypass_org_membership_levels = LevelsField()
    bypass_roles = serializers.ListField(child=serializers.UUIDField())


class ResultDataSerializer(serializers.Serializer[Any]):
    resource_id = serializers.CharField()
    resource_version = serializers.IntegerField(allow_null=True)


class ApprovalSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    created_by = UserBasicSerializer(allow_null=True)
    decision = serializers.ChoiceField(choices=Decision.choices)
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()


class ChangeRequestSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    action_key = serializers.ChoiceField(choices=ACTION_KEYS, help_text="The key of the policy that decided.")
    action_version = serializers.IntegerField()
    resource_type = serializers.ChoiceField(choices=["feature_flag", "experiment_holdout"])
    resource_id = serializers.CharField(allow_null=True, help_text="null: it is to be created.")
    intent = PolymorphicProxySerializer("ChangeIntent", INTENTS, "act")
    intent_display = IntentDisplaySerializer()
    policy_snapshot = PolicySnapshotSerializer(help_text="Rights are judged by the policy as it was then.")
    state = serializers.ChoiceField(choices=ChangeRequestState.choices)
    validation_status = serializers.ChoiceField(choices=ValidationStatus.choices)
    validation_errors = serializers.DictField(child=serializers.CharField(), allow_null=True)
    validated_at = serializers.DateTimeField()
    created_by = UserBasicSerializer(allow_null=True)
    applied_by = UserBasicSerializer(allow_null=True, help_text="The requester, once it is applied.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    applied_at = serializers.DateTimeField(allow_null=True)
    apply_error = serializers.CharField()
    result_data = ResultDataSerializer(allow_null=True)
    approvals = ApprovalSerializer(many=True)
    can_approve = serializers.BooleanField(help_text="Whether the caller may vote.")
    can_cancel = serializers.BooleanField(help_text="Whether the caller may cancel.")
    is_requester = serializers.BooleanField()
    user_decision = serializers.ChoiceField(choices=Decision.choices, allow_null=True)


class ReasonRequest(RequestSerializer):
    """What a voter may say."""

    reason = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=MAX_REASON)


_REASON_NEEDED = "A reason is required for rejection."


class _NeededReason(serializers.CharField):
    """The text is there; missing, null and blank are one mistake."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data is serializers.empty or data is None or (isinstance(data, str) and not data.strip()):
            raise serializers.ValidationError(_REASON_NEEDED, code="required")
        return super().run_validation(data)


class RejectionRequest(RequestSerializer):
    """Why a change is rejected."""

    reason = _NeededReason(max_length=MAX_REASON)


class VoteOutcomeSerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["approved", "applied", "failed", "rejected", "canceled"])
    message = serializers.CharField()
    change_request = ChangeRequestSerializer()
    result = ResultDataSerializer(required=False, help_text="Of an applied change.")


# --- The 409 of a change that is held back -------------------------------------------------------------------------


class RequiredApproversSerializer(serializers.Serializer[Any]):
    users = serializers.ListField(child=serializers.IntegerField(), required=False)
    roles = serializers.ListField(child=serializers.UUIDField(), required=False)
    quorum = serializers.IntegerField(required=False)


class _HeldBackSerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["approval_required"])
    detail = serializers.CharField()
    message = serializers.CharField(help_text="The same as `detail`.")
    resource_type = serializers.CharField()
    resource_id = serializers.CharField(allow_null=True)
    change_request_id = serializers.UUIDField()
    change_request = ChangeRequestSerializer()
    required_approvers = RequiredApproversSerializer(help_text="Empty for a request that was pending already.")


class ApprovalRequiredSerializer(_HeldBackSerializer):
    code = serializers.ChoiceField(choices=["approval_required"])


class ChangeRequestPendingSerializer(_HeldBackSerializer):
    code = serializers.ChoiceField(choices=["change_request_pending"])

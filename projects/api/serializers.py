"""The shapes of account requests and answers. Answers are built by `representation`; their classes describe them."""

from typing import Any
from uuid import UUID

from rest_framework import serializers

from common.api.fields import AboveValidator, BooleanField, NumberField, OneOf
from common.api.shape_field import ShapeField
from common.property_filters import PropertyFilter
from projects.api.fields import RelatedId, TimeOfDayField, TimeZoneNames
from projects.api.user_basic import UserBasicSerializer
from projects.models import Level, StatsMethod
from projects.scopes import ALL, SCOPES, SECRET_KEY_SCOPES

NAME_LENGTH = 200
LABEL_LENGTH = 40
MAX_SCOPES = 100
MAX_RESTRICTIONS = 1000
CONFIDENCE_LEVELS = (0.9, 0.95, 0.99)


# --- Organizations -----------------------------------------------------------------------------------------------


class OrganizationSerializer(serializers.Serializer[Any]):
    """Describes an organization as the caller, a member, sees it."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    slug = serializers.CharField()
    logo_media_id = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    membership_level = serializers.ChoiceField(choices=Level.choices)
    members_can_use_personal_api_keys = serializers.BooleanField()


class OrganizationBasicSerializer(serializers.Serializer[Any]):
    """Describes an organization in the list of a user's."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    slug = serializers.CharField()
    logo_media_id = serializers.UUIDField(allow_null=True)
    membership_level = serializers.ChoiceField(choices=Level.choices)
    members_can_use_personal_api_keys = serializers.BooleanField()


class OrganizationUpdateSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=NAME_LENGTH)
    members_can_use_personal_api_keys = BooleanField()


class OrganizationMemberSerializer(serializers.Serializer[Any]):
    """Describes a user's membership of an organization."""

    id = serializers.UUIDField()
    user = UserBasicSerializer()
    level = serializers.ChoiceField(choices=Level.choices)
    joined_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class OrganizationMemberUpdateSerializer(serializers.Serializer[Any]):
    level = serializers.ChoiceField(choices=Level.choices)


class RoleMembershipSerializer(serializers.Serializer[Any]):
    """Describes a member's place in a role."""

    id = serializers.UUIDField()
    role_id = serializers.UUIDField()
    organization_member = OrganizationMemberSerializer()
    user = UserBasicSerializer()
    joined_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class RoleMembershipCreateSerializer(serializers.Serializer[Any]):
    user_uuid = serializers.UUIDField()


class RoleSerializer(serializers.Serializer[Any]):
    """Describes a role with its members."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    created_at = serializers.DateTimeField()
    created_by = UserBasicSerializer(allow_null=True)
    members = RoleMembershipSerializer(many=True)
    is_default = serializers.BooleanField()


class RoleWriteSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=NAME_LENGTH)


# --- Projects ----------------------------------------------------------------------------------------------------


class ProjectBasicSerializer(serializers.Serializer[Any]):
    """Describes the project a user works in."""

    id = serializers.IntegerField()
    uuid = serializers.UUIDField()
    organization = serializers.UUIDField()
    project_id = serializers.IntegerField()
    api_token = serializers.CharField()
    name = serializers.CharField()
    timezone = serializers.CharField()
    ingested_event = serializers.BooleanField()
    is_demo = serializers.BooleanField()


class ProjectSerializer(ProjectBasicSerializer):
    """Describes a project."""

    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    secret_api_token = serializers.CharField(allow_null=True)
    secret_api_token_mask = serializers.CharField(allow_null=True)
    secret_api_token_backup_mask = serializers.CharField(allow_null=True)
    test_account_filters = serializers.ListField(child=ShapeField(PropertyFilter))
    default_experiment_stats_method = serializers.ChoiceField(choices=StatsMethod.choices)
    default_experiment_confidence_level = serializers.ChoiceField(choices=CONFIDENCE_LEVELS)
    default_cuped_enabled = serializers.BooleanField()
    default_cuped_lookback_days = serializers.IntegerField()
    default_sequential_testing_enabled = serializers.BooleanField()
    default_sequential_tuning_parameter = serializers.FloatField()
    default_minimum_detectable_effect = serializers.FloatField()
    default_only_count_matured_users = serializers.BooleanField()
    flags_persistence_default = serializers.BooleanField()
    experiment_recalculation_time = serializers.CharField()


class ProjectWriteSerializer(serializers.Serializer[Any]):
    """What of a project can be written. Unknown keys are ignored."""

    name = serializers.CharField(max_length=NAME_LENGTH)
    timezone = OneOf(names=TimeZoneNames(), required=False)
    test_account_filters = serializers.ListField(child=ShapeField(PropertyFilter), required=False)
    default_experiment_stats_method = serializers.ChoiceField(choices=StatsMethod.choices, required=False)
    default_experiment_confidence_level = serializers.ChoiceField(choices=CONFIDENCE_LEVELS, required=False)
    default_cuped_enabled = BooleanField(required=False)
    default_cuped_lookback_days = serializers.IntegerField(min_value=1, max_value=30, required=False)
    default_sequential_testing_enabled = BooleanField(required=False)
    default_sequential_tuning_parameter = NumberField(min_value=1, max_value=1_000_000_000, required=False)
    default_minimum_detectable_effect = NumberField(validators=[AboveValidator(0)], required=False)
    default_only_count_matured_users = BooleanField(required=False)
    flags_persistence_default = BooleanField(required=False)
    experiment_recalculation_time = TimeOfDayField(required=False)


# --- Users -------------------------------------------------------------------------------------------------------


class UserSerializer(serializers.Serializer[Any]):
    """Describes the caller."""

    id = serializers.IntegerField()
    uuid = serializers.UUIDField()
    distinct_id = serializers.CharField()
    email = serializers.EmailField()
    first_name = serializers.CharField()
    last_name = serializers.CharField()
    is_staff = serializers.BooleanField()
    is_email_verified = serializers.BooleanField(allow_null=True)
    date_joined = serializers.DateTimeField()
    team = ProjectBasicSerializer(allow_null=True)
    organization = OrganizationSerializer(allow_null=True)
    organizations = OrganizationBasicSerializer(many=True)


class UserUpdateSerializer(serializers.Serializer[Any]):
    first_name = serializers.CharField(max_length=150, allow_blank=True)
    last_name = serializers.CharField(max_length=150, allow_blank=True)
    set_current_team = RelatedId()
    set_current_organization = serializers.UUIDField()


# --- Keys --------------------------------------------------------------------------------------------------------


class PersonalAPIKeySerializer(serializers.Serializer[Any]):
    """Describes a personal API key. `value` is there in the answers that make it, else null."""

    id = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field named so
    description = serializers.CharField()
    value = serializers.CharField(allow_null=True)
    mask_value = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    last_rolled_at = serializers.DateTimeField(allow_null=True)
    user_id = serializers.IntegerField()
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=[ALL, *sorted(SCOPES)]))
    scoped_teams = serializers.ListField(child=serializers.IntegerField(), allow_null=True)
    scoped_organizations = serializers.ListField(child=serializers.UUIDField(), allow_null=True)
    is_legacy_hashing = serializers.BooleanField()


class PersonalAPIKeyWriteSerializer(serializers.Serializer[Any]):
    """What of a personal API key can be written. Unknown keys are ignored."""

    label = serializers.CharField(max_length=LABEL_LENGTH)  # type: ignore[assignment]  # a field named so
    description = serializers.CharField(allow_blank=True, max_length=1000, required=False)
    scopes = serializers.ListField(
        child=serializers.CharField(max_length=100), allow_empty=False, max_length=MAX_SCOPES
    )
    scoped_teams = serializers.ListField(
        child=serializers.IntegerField(), allow_null=True, max_length=MAX_RESTRICTIONS, required=False
    )
    scoped_organizations = serializers.ListField(
        child=serializers.CharField(), allow_null=True, max_length=MAX_RESTRICTIONS, required=False
    )

    def validate_scoped_organizations(self, ids: list[str] | None) -> list[UUID] | None:
        try:
            return None if ids is None else [UUID(one) for one in ids]
        except ValueError as error:
            raise serializers.ValidationError("Invalid organization UUID") from error


class ProjectSecretAPIKeySerializer(serializers.Serializer[Any]):
    """Describes a project secret key. `value` is there in the answers that make it, else null."""

    id = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field named so
    value = serializers.CharField(allow_null=True)
    mask_value = serializers.CharField()
    created_at = serializers.DateTimeField()
    created_by = UserBasicSerializer(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    last_rolled_at = serializers.DateTimeField(allow_null=True)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=SECRET_KEY_SCOPES))


class ProjectSecretAPIKeyWriteSerializer(serializers.Serializer[Any]):
    label = serializers.CharField(max_length=LABEL_LENGTH)  # type: ignore[assignment]  # a field named so
    scopes = serializers.ListField(
        child=serializers.CharField(max_length=100), allow_empty=False, max_length=MAX_SCOPES
    )

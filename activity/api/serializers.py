"""Describes the entries of the activity log."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from activity.models import Activity, Scope
from projects.api.user_basic import UserBasicSerializer


class ActivityChangeSerializer(serializers.Serializer[Any]):
    """One field that changed."""

    type = serializers.CharField(help_text="The scope of the entry.")
    action = serializers.ChoiceField(choices=["created", "changed", "deleted"])
    field = serializers.CharField()
    before = serializers.JSONField(allow_null=True, help_text="Any JSON value: what the field held.")
    after = serializers.JSONField(allow_null=True, help_text="Any JSON value: what the field holds now.")


class ActivityTriggerSerializer(serializers.Serializer[Any]):
    """What made a change beside a plain request."""

    job_type = serializers.CharField(help_text="Such as experiment_action, change_request or scheduled_change.")
    job_id = serializers.CharField(allow_null=True)
    payload = serializers.DictField(help_text="Depends on the kind of job, such as the name of an act.")


class ActivityDetailSerializer(serializers.Serializer[Any]):
    """What an entry tells."""

    name = serializers.CharField(allow_null=True)
    short_id = serializers.CharField(allow_null=True)
    type = serializers.CharField(allow_null=True)
    changes = ActivityChangeSerializer(many=True)
    trigger = ActivityTriggerSerializer(allow_null=True)
    context = serializers.DictField(allow_null=True)  # type: ignore[assignment]  # a field named so


class ActivityLogEntrySerializer(serializers.Serializer[Any]):
    """One change of one object."""

    id = serializers.UUIDField()
    user = UserBasicSerializer(allow_null=True)
    unread = serializers.BooleanField()
    team_id = serializers.IntegerField()
    organization_id = serializers.UUIDField()
    was_impersonated = serializers.BooleanField()
    is_system = serializers.BooleanField()
    activity = serializers.ChoiceField(choices=Activity.choices)
    item_id = serializers.CharField()
    scope = serializers.ChoiceField(choices=Scope.choices)
    detail = ActivityDetailSerializer()
    created_at = serializers.DateTimeField()


@extend_schema_serializer(many=False)
class ActivityLogSerializer(serializers.Serializer[Any]):
    """A page of the log."""

    count = serializers.IntegerField(required=False, help_text="Only when the request names a page.")
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = ActivityLogEntrySerializer(many=True)


class ActivityActorSerializer(serializers.Serializer[Any]):
    """Who made a change; the service itself is `System`."""

    first_name = serializers.CharField()
    email = serializers.EmailField(allow_null=True)
    is_system = serializers.BooleanField(required=False)


class ItemActivityDetailSerializer(ActivityDetailSerializer):
    """What an entry tells, with two keys that clients expect there."""

    id = serializers.CharField(allow_null=True)
    merge = serializers.DictField(allow_null=True)


class ItemActivityEntrySerializer(serializers.Serializer[Any]):
    """One change in the history of an object."""

    id = serializers.UUIDField()
    user = ActivityActorSerializer(allow_null=True)
    activity = serializers.ChoiceField(choices=Activity.choices)
    scope = serializers.ChoiceField(choices=Scope.choices)
    item_id = serializers.CharField()
    detail = ItemActivityDetailSerializer()
    created_at = serializers.DateTimeField()


class ItemActivitySerializer(serializers.Serializer[Any]):
    """A page of the history of an object."""

    results = ItemActivityEntrySerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    total_count = serializers.IntegerField()

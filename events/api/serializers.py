"""What events, persons, groups and actions look like to callers, and what they send."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from common.api.fields import BooleanField
from common.api.serializers import ParsedField, RequestSerializer
from projects.api.user_basic import UserBasicSerializer

PROPERTIES = "As its events set them."


class PersonSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    uuid = serializers.UUIDField()
    name = serializers.CharField(help_text="The first of its e-mail, name and username, else its first distinct id.")
    distinct_ids = serializers.ListField(
        child=serializers.CharField(), help_text="In order of joining, UUIDs last; at most 1000."
    )
    properties = serializers.DictField(help_text=PROPERTIES)
    is_identified = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class GroupSerializer(serializers.Serializer[Any]):
    group_type_index = serializers.IntegerField(min_value=0, max_value=4)
    group_key = serializers.CharField()
    group_properties = serializers.DictField(help_text=PROPERTIES)
    created_at = serializers.DateTimeField()


class GroupTypeSerializer(serializers.Serializer[Any]):
    group_type = serializers.CharField()
    group_type_index = serializers.IntegerField(min_value=0, max_value=4)
    name_singular = serializers.CharField(allow_null=True)
    name_plural = serializers.CharField(allow_null=True)


class EventPersonSerializer(serializers.Serializer[Any]):
    uuid = serializers.UUIDField()
    is_identified = serializers.BooleanField()
    distinct_ids = serializers.ListField(child=serializers.CharField(), help_text="At most 10.")
    properties = serializers.DictField(help_text=PROPERTIES)


class EventSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    event = serializers.CharField(help_text="Its name.")
    distinct_id = serializers.CharField()
    timestamp = serializers.DateTimeField()
    properties = serializers.DictField(help_text="As they were sent.")
    person = EventPersonSerializer(allow_null=True)
    elements = serializers.ListField(child=serializers.DictField(), help_text="Always empty.")
    elements_chain = serializers.CharField(help_text="Always empty.")


@extend_schema_serializer(many=False)
class EventPageSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    results = EventSerializer(many=True)


class EventDefinitionSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    created_at = serializers.DateTimeField(help_text="When an event of this name was stored first.")
    last_seen_at = serializers.DateTimeField(help_text="When one was stored last, exact to the hour.")


class PersonsDeletionRequest(RequestSerializer):
    """The persons to delete."""

    ids = serializers.ListField(child=serializers.CharField(), required=False, help_text="Their uuids.")
    distinct_ids = serializers.ListField(child=serializers.CharField(), required=False)
    delete_events = BooleanField(required=False, help_text="Whether their events go too, soon.")
    keep_person = BooleanField(required=False, help_text="Whether only events go, and the persons stay.")


class PersonsDeletionSerializer(serializers.Serializer[Any]):
    persons_found = serializers.IntegerField()
    persons_deleted = serializers.IntegerField()
    events_queued_for_deletion = serializers.BooleanField()


def _text(text: str, **options: Any) -> serializers.CharField:
    return serializers.CharField(required=False, allow_null=True, help_text=text, **options)


class ActionStepSerializer(serializers.Serializer[Any]):
    event = _text("The name of the event; null or absent: any.")
    properties = serializers.ListField(
        child=serializers.DictField(), required=False, allow_null=True, help_text="Filters that must all match."
    )
    url = _text("What the property `$current_url` is compared with; null or empty: nothing.")
    url_matching = serializers.ChoiceField(
        choices=["contains", "exact", "regex"], required=False, allow_null=True, help_text="Default: contains."
    )
    selector = _text("Not supported; null or empty.")
    tag_name = _text("Not supported; null or empty.")
    text = _text("Not supported; null or empty.")
    text_matching = _text("Kept, without effect.")
    href = _text("Not supported; null or empty.")
    href_matching = _text("Kept, without effect.")


class ActionSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    description = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    steps = ActionStepSerializer(many=True)
    deleted = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    created_by = UserBasicSerializer(allow_null=True)
    team_id = serializers.IntegerField(help_text="The id of the project.")
    folder = serializers.CharField(allow_null=True)
    user_access_level = serializers.CharField(allow_null=True)
    is_action = serializers.BooleanField(help_text="Always true.")
    is_calculating = serializers.BooleanField(help_text="Always false.")
    post_to_slack = serializers.BooleanField(help_text="Always false.")
    slack_message_format = serializers.CharField(help_text="Always empty.")
    last_calculated_at = serializers.DateTimeField(allow_null=True, help_text="Always null.")
    pinned_at = serializers.DateTimeField(allow_null=True, help_text="Always null.")
    creation_context = serializers.CharField(allow_null=True, help_text="Always null.")
    bytecode_error = serializers.CharField(allow_null=True, help_text="Always null.")


def _as_sent(value: Any) -> Any:
    return value


@extend_schema_serializer(component_name="ActionWrite")
class ActionRequest(RequestSerializer):
    """A creation, or with `partial` a PATCH."""

    name = serializers.CharField(max_length=400)
    description = serializers.CharField(required=False, allow_blank=True)
    tags = serializers.ListField(child=serializers.CharField(max_length=255), required=False, max_length=100)
    # What is wrong with steps is said in words of their own.
    steps = ParsedField(
        _as_sent,
        described_by=serializers.ListField(
            child=ActionStepSerializer(),
            max_length=100,
            help_text="The action is every event that matches any of them.",
        ),
    )
    deleted = BooleanField(required=False, help_text="True deletes the action, false restores it.")
    _create_in_folder = serializers.CharField(required=False, allow_null=True, write_only=True)

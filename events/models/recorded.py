"""Events, and the persons, groups and actions that they are about."""

from uuid import uuid4

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import HashIndex
from django.db import models
from django.db.models.fields.json import KeyTextTransform
from django.utils import timezone

from common.documents import DocumentField

MAX_DISTINCT_ID = 200
MAX_EVENT_NAME = 200
MAX_GROUP_TYPE = 400
MAX_GROUP_KEY = 400
MAX_FLAG_KEY = 450
MAX_GROUP_TYPES = 5


class Action(models.Model):
    """A named set of events, described by steps; metrics and cohorts refer to it by id."""

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="actions")
    name = models.CharField(max_length=400)
    description = models.TextField(blank=True, default="")
    tags = ArrayField(models.CharField(max_length=255), default=list)
    steps = DocumentField(default=list)
    deleted = models.BooleanField(default=False)
    folder = models.TextField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"], condition=models.Q(deleted=False), name="action_name_unique"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Person(models.Model):
    """Somebody whom one or several distinct ids stand for.

    `uuid` is what events store. It comes from the first distinct id (`events.identity.natural_id`), so that events
    without a person and events from before a merge find their person without being rewritten.
    """

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="persons", db_index=False)
    uuid = models.UUIDField(editable=False)
    properties = models.JSONField(default=dict)
    is_identified = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(fields=["project", "-created_at", "-id"], name="person_newest"),
            # A hash: the text may be longer than a B-tree takes.
            HashIndex(
                KeyTextTransform("email", "properties"),
                condition=models.Q(properties__has_key="email"),
                name="person_email",
            ),
        ]
        constraints = [models.UniqueConstraint(fields=["project", "uuid"], name="person_uuid_unique")]

    def __str__(self) -> str:
        return str(self.uuid)


class PersonDistinctId(models.Model):
    """One id that clients send for a person. Ids of a person are in the order in which they joined it."""

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="+", db_index=False)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="distinct_id_rows")
    distinct_id = models.CharField(max_length=MAX_DISTINCT_ID)
    joined_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["joined_at", "id"]
        constraints = [models.UniqueConstraint(fields=["project", "distinct_id"], name="distinct_id_unique")]

    def __str__(self) -> str:
        return self.distinct_id


class PersonOverride(models.Model):
    """Events stored under `old_person_id` belong to `person_id` now. No override leads to another."""

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="+", db_index=False)
    old_person_id = models.UUIDField()
    person_id = models.UUIDField()

    class Meta:
        indexes = [models.Index(fields=["project", "person_id"], name="override_target")]
        constraints = [
            models.UniqueConstraint(fields=["project", "old_person_id"], name="override_unique"),
            models.CheckConstraint(
                condition=~models.Q(old_person_id=models.F("person_id")), name="override_leads_elsewhere"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.old_person_id} -> {self.person_id}"


class ContinuityOverride(models.Model):
    """The id a person keeps being bucketed by in a flag that persists across sign-in. Rows never change."""

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="+")
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    # The flag by its id: flags live in an app above this one.
    feature_flag_id = models.BigIntegerField()
    hash_key = models.CharField(max_length=MAX_DISTINCT_ID)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "feature_flag_id"], name="one_continuity_override_per_flag")
        ]

    def __str__(self) -> str:
        return f"{self.feature_flag_id}: {self.hash_key}"


class CohortMembership(models.Model):
    """A person in a cohort: listed (static) or as last calculated (dynamic)."""

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="+")
    # The cohort by its id: cohorts live in an app above this one.
    cohort_id = models.BigIntegerField()
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cohort_id", "person"], name="one_membership_per_person")]

    def __str__(self) -> str:
        return f"{self.person_id} in {self.cohort_id}"


class GroupType(models.Model):
    """A kind of group, such as `company`; made by the first event that names it, never removed."""

    project = models.ForeignKey(
        "projects.Project", on_delete=models.CASCADE, related_name="group_types", db_index=False
    )
    group_type = models.CharField(max_length=MAX_GROUP_TYPE)
    group_type_index = models.PositiveSmallIntegerField()
    name_singular = models.CharField(max_length=MAX_GROUP_TYPE, null=True)
    name_plural = models.CharField(max_length=MAX_GROUP_TYPE, null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "group_type"], name="group_type_unique"),
            models.UniqueConstraint(fields=["project", "group_type_index"], name="group_type_index_unique"),
            models.CheckConstraint(
                condition=models.Q(group_type_index__lt=MAX_GROUP_TYPES), name="group_type_index_in_range"
            ),
        ]

    def __str__(self) -> str:
        return self.group_type


class Group(models.Model):
    """What is known of one group."""

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="groups", db_index=False)
    group_type_index = models.PositiveSmallIntegerField()
    group_key = models.CharField(max_length=MAX_GROUP_KEY)
    group_properties = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["project", "group_type_index", "-created_at", "-id"], name="group_newest")]
        constraints = [
            models.UniqueConstraint(fields=["project", "group_type_index", "group_key"], name="group_key_unique"),
            models.CheckConstraint(
                condition=models.Q(group_type_index__lt=MAX_GROUP_TYPES), name="group_index_in_range"
            ),
        ]

    def __str__(self) -> str:
        return self.group_key


class EventDefinition(models.Model):
    """An event name of the project. `last_seen_at` is exact to the hour."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    project = models.ForeignKey(
        "projects.Project", on_delete=models.CASCADE, related_name="event_definitions", db_index=False
    )
    name = models.CharField(max_length=MAX_EVENT_NAME)
    created_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="event_definition_unique")]

    def __str__(self) -> str:
        return self.name


class ImportedFile(models.Model):
    """How far the import of a file has got. A file is known by its name, its size and its beginning."""

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="+")
    name = models.TextField()
    size = models.PositiveBigIntegerField()
    digest = models.CharField(max_length=64)
    # How many rows, bad ones included, the stored batches have gone through.
    rows = models.PositiveBigIntegerField(default=0)
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name", "size", "digest"], name="imported_file_unique")
        ]

    def __str__(self) -> str:
        return self.name


class Event(models.Model):
    """One stored event. The table is partitioned by UTC month; migrations and `events.partitions` write its DDL.

    Its identity is project, UTC day and uuid: a unique index on every partition keeps copies out. There is no foreign
    key to the project: checking it would cost more than storing the row.
    """

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, db_constraint=False, related_name="+")
    uuid = models.UUIDField(primary_key=True)
    event = models.TextField()
    distinct_id = models.TextField()
    person_id = models.UUIDField()
    timestamp = models.DateTimeField()
    created_at = models.DateTimeField()
    session_id = models.TextField(null=True)
    flag_key = models.TextField(null=True)
    flag_response = models.TextField(null=True)
    group_0 = models.TextField(null=True)
    group_1 = models.TextField(null=True)
    group_2 = models.TextField(null=True)
    group_3 = models.TextField(null=True)
    group_4 = models.TextField(null=True)
    properties = models.JSONField()

    class Meta:
        managed = False
        db_table = "events_event"

    def __str__(self) -> str:
        return f"{self.event} {self.uuid}"

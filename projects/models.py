"""Tenancy and access: who belongs to which organization, which projects it has, which keys open them."""

from typing import Any, ClassVar
from uuid import uuid4

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from common.documents import DocumentField
from projects.keys import new_project_token


class Level(models.IntegerChoices):
    """What a member may do in the organization; a higher level includes the lower ones."""

    MEMBER = 1, "member"
    ADMIN = 8, "admin"
    OWNER = 15, "owner"


class Organization(models.Model):
    """A team or company; everything else belongs to one."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=60, unique=True)
    members_can_use_personal_api_keys = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.name


class UserAccounts(BaseUserManager["User"]):
    """Creates and finds users. E-mail addresses that differ only in case are one."""

    def get_by_natural_key(self, email: str | None) -> "User":
        return self.get(email__iexact=email)

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in. What they may do comes from their memberships."""

    uuid = models.UUIDField(default=uuid4, unique=True, editable=False)
    distinct_id = models.CharField(max_length=200, unique=True, default=uuid4, editable=False)
    email = models.EmailField(unique=True)
    first_name = models.CharField(max_length=150, blank=True, default="")
    last_name = models.CharField(max_length=150, blank=True, default="")
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    is_email_verified = models.BooleanField(null=True, default=None)
    date_joined = models.DateTimeField(default=timezone.now)
    current_organization = models.ForeignKey(
        Organization, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    current_project = models.ForeignKey("Project", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    objects: ClassVar[UserAccounts] = UserAccounts()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_unique")]

    def __str__(self) -> str:
        return self.email


class OrganizationMembership(models.Model):
    """One user in one organization, with a level."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    level = models.PositiveSmallIntegerField(choices=Level.choices, default=Level.MEMBER)
    joined_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="one_membership_per_user"),
            models.CheckConstraint(condition=models.Q(level__in=Level.values), name="membership_level_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.organization}"


class Role(models.Model):
    """A named set of members; serves approvals only."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="roles")
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint("organization", Lower("name"), name="role_name_unique")]

    def __str__(self) -> str:
        return self.name


class RoleMembership(models.Model):
    """A member in a role; ends with the membership."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    role = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="role_memberships")
    membership = models.ForeignKey(OrganizationMembership, on_delete=models.CASCADE, related_name="role_memberships")
    joined_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["role", "membership"], name="one_place_per_role")]

    def __str__(self) -> str:
        return f"{self.membership} as {self.role}"


class StatsMethod(models.TextChoices):
    """How effects are inferred."""

    BAYESIAN = "bayesian", "bayesian"
    FREQUENTIST = "frequentist", "frequentist"


class Project(models.Model):
    """One product or site: its experiments, flags and events, its tokens and its defaults."""

    uuid = models.UUIDField(default=uuid4, unique=True, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="projects")
    name = models.CharField(max_length=200)
    timezone = models.CharField(max_length=64, default="UTC")
    api_token = models.CharField(max_length=64, unique=True, default=new_project_token)
    # Of secret tokens only hash and mask are kept; the backup is the one before the last rotation.
    secret_token_hash = models.CharField(max_length=80, unique=True, null=True)
    secret_token_mask = models.CharField(max_length=16, null=True)
    secret_token_backup_hash = models.CharField(max_length=80, unique=True, null=True)
    secret_token_backup_mask = models.CharField(max_length=16, null=True)
    ingested_event = models.BooleanField(default=False)
    test_account_filters = DocumentField(default=list)
    default_experiment_stats_method = models.CharField(
        max_length=16, choices=StatsMethod.choices, default=StatsMethod.BAYESIAN
    )
    default_experiment_confidence_level = models.FloatField(default=0.95)
    default_cuped_enabled = models.BooleanField(default=False)
    default_cuped_lookback_days = models.PositiveSmallIntegerField(default=14)
    default_sequential_testing_enabled = models.BooleanField(default=False)
    default_sequential_tuning_parameter = models.FloatField(default=5000)
    default_minimum_detectable_effect = models.FloatField(default=30)
    default_only_count_matured_users = models.BooleanField(default=False)
    flags_persistence_default = models.BooleanField(default=False)
    experiment_recalculation_time = models.TimeField(default="02:00")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.name


class PersonalAPIKey(models.Model):
    """A user's key. The value is shown once; kept are its hash and its mask."""

    id = models.CharField(primary_key=True, max_length=50, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="personal_api_keys")
    label = models.CharField(max_length=40)
    description = models.TextField(blank=True, default="")
    value_hash = models.CharField(max_length=80, unique=True)
    mask_value = models.CharField(max_length=16)
    scopes = ArrayField(models.CharField(max_length=100))
    scoped_teams = ArrayField(models.BigIntegerField(), null=True)
    scoped_organizations = ArrayField(models.UUIDField(), null=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True)
    last_rolled_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "personal API key"

    def __str__(self) -> str:
        return f"{self.label} ({self.mask_value})"


class ProjectSecretAPIKey(models.Model):
    """A scoped secret key of one project, for servers."""

    id = models.CharField(primary_key=True, max_length=50, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="secret_api_keys")
    label = models.CharField(max_length=40)
    value_hash = models.CharField(max_length=80, unique=True)
    mask_value = models.CharField(max_length=16)
    scopes = ArrayField(models.CharField(max_length=100))
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    last_used_at = models.DateTimeField(null=True)
    last_rolled_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "project secret API key"
        constraints = [models.UniqueConstraint(fields=["project", "label"], name="secret_key_label_unique")]

    def __str__(self) -> str:
        return f"{self.label} ({self.mask_value})"


class RequestCount(models.Model):
    """How many requests of a key were admitted in its present minute and hour; see `projects.throttling`.

    The table is unlogged: counting costs no wait for the disk, and a crash of the database forgets the counts.
    """

    counter = models.CharField(primary_key=True, max_length=100)
    minute_started = models.DateTimeField()
    minute_count = models.IntegerField()
    hour_started = models.DateTimeField()
    hour_count = models.IntegerField()

    def __str__(self) -> str:
        return self.counter

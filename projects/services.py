"""Making organizations, users and projects, and saying who belongs where."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import CASCADE, Exists, OuterRef
from django.utils.crypto import get_random_string
from django.utils.text import slugify

from common.documents import same_document
from common.errors import Invalid
from projects import test_account_filters
from projects.changes import tell
from projects.keys import hash_key, mask_key, new_secret_key
from projects.locking import locked
from projects.models import Organization, OrganizationMembership, Project, User
from projects.personal_keys import create_personal_api_key
from projects.project_settings import snapshot

__all__ = [
    "create_organization",
    "create_personal_api_key",
    "create_project",
    "create_user",
    "delete_organization",
    "delete_project",
    "join_organization",
    "settle_current",
    "update_organization",
    "update_project",
    "update_user",
]


class EmailTaken(Invalid):
    """Another user has this e-mail address, in whatever case."""

    def __init__(self) -> None:
        super().__init__("There is already a user with this e-mail address.", code="unique", attr="email")


_SLUG_LENGTH = 48  # leaves room for what makes it unique


def create_organization(*, name: str) -> Organization:
    """A new organization without members; its slug is made from the name and unique."""
    slug = slugify(name)[:_SLUG_LENGTH].strip("-_") or "organization"
    if Organization.objects.filter(slug=slug).exists():
        slug = f"{slug}-{get_random_string(8).lower()}"
    return Organization.objects.create(name=name, slug=slug)


@transaction.atomic
def update_organization(*, organization: Organization, changes: Mapping[str, Any]) -> Organization:
    """Write changed settings, by field. The slug stays: addresses may hold it."""
    current = locked(organization)
    for field, value in changes.items():
        setattr(current, field, value)
    current.save(update_fields=[*changes, "updated_at"])
    return current


@transaction.atomic
def delete_organization(*, organization: Organization) -> None:
    """Delete an organization with its projects and everything inside; its members stay users."""
    members = list(User.objects.filter(memberships__organization=organization).values_list("pk", flat=True))
    for project in organization.projects.all():
        _delete_rows_of(project)
    organization.delete()
    settle_current(User.objects.filter(pk__in=members))


@transaction.atomic
def create_user(
    *,
    email: str,
    password: str | None,
    level: int,
    organization: Organization,
    first_name: str = "",
    last_name: str = "",
    is_staff: bool = False,
) -> User:
    """A new user, member of `organization` at `level`. The password is not judged here; None means no sign-in.

    Staff may use the admin site. Raises Invalid when the e-mail address is taken.
    """
    if User.objects.filter(email__iexact=email).exists():
        raise EmailTaken
    names = {"first_name": first_name, "last_name": last_name}
    try:
        with transaction.atomic():
            user = User.objects.create_user(email, password, is_staff=is_staff, is_superuser=is_staff, **names)
    except IntegrityError as error:  # made at the same moment by somebody else
        raise EmailTaken from error
    join_organization(user=user, organization=organization, level=level)
    return user


@transaction.atomic
def join_organization(*, user: User, organization: Organization, level: int) -> OrganizationMembership:
    """Make a user a member. It becomes the user's current organization if there is none yet."""
    membership = OrganizationMembership.objects.create(organization=organization, user=user, level=level)
    settle_current([user])
    return membership


@transaction.atomic
def create_project(
    *, organization: Organization, name: str, user: User | None = None, **settings: Any
) -> tuple[Project, str]:
    """A new project and its secret token, which is kept nowhere. `settings` are fields of the project.

    Members without a current project get this one. `user` is who asks; None from the command line. Raises Invalid for
    filters of test accounts that cannot be computed.
    """
    test_account_filters.check(settings.get("test_account_filters", []), project=None)
    secret = new_secret_key()
    project = Project.objects.create(
        organization=organization,
        name=name,
        secret_token_hash=hash_key(secret),
        secret_token_mask=mask_key(secret),
        **settings,
    )
    project.refresh_from_db()  # defaults in the form the database gives them
    settle_current(User.objects.filter(memberships__organization=organization, current_project=None))
    tell(project=project, user=user, scope="Team", item_id=project.pk, name=name, before=None, after=snapshot(project))
    return project, secret


@transaction.atomic
def update_project(*, project: Project, user: User | None, changes: Mapping[str, Any]) -> Project:
    """Write changed settings; equal values change and record nothing. `changes` are validated values by field.

    Raises Invalid for filters of test accounts that cannot be computed.
    """
    if "test_account_filters" in changes:
        test_account_filters.check(changes["test_account_filters"], project=project)
    current = locked(project)
    before = snapshot(current)
    changed = [field for field, value in changes.items() if not same_document(getattr(current, field), value)]
    if not changed:
        return current
    for field in changed:
        setattr(current, field, changes[field])
    current.save(update_fields=[*changed, "updated_at"])
    tell(
        project=current,
        user=user,
        scope="Team",
        item_id=current.pk,
        name=current.name,
        before=before,
        after=snapshot(current),
    )
    return current


@transaction.atomic
def delete_project(*, project: Project) -> None:
    """Delete a project with everything inside; those who worked in it get another one of their organization."""
    affected = list(User.objects.filter(current_project=project).values_list("pk", flat=True))
    _delete_rows_of(project)
    project.delete()
    settle_current(User.objects.filter(pk__in=affected))


def _delete_rows_of(project: Project) -> None:
    """Delete by one statement a table what may be millions of rows: events, persons and what hangs on them.

    A table is done so when everything that refers to its rows is a project's own row too, and gone already. Foreign
    keys are checked at the end of the transaction. What is left is for Django to follow.
    """
    relations = [relation for relation in Project._meta.related_objects if relation.on_delete is CASCADE]
    gone: set[Any] = set()
    while True:
        ready = [
            relation
            for relation in relations
            if relation.related_model not in gone
            and {other.related_model for other in relation.related_model._meta.related_objects} <= gone
        ]
        if not ready:
            return
        for relation in ready:
            rows = relation.related_model._default_manager.filter(**{relation.field.name: project})
            rows._raw_delete(rows.db)
            gone.add(relation.related_model)


def project_to_enter(*, user: User, project_id: int, attr: str) -> Project:
    """The project with this id in an organization of the user. Raises Invalid, code `does_not_exist`, without one."""
    found = Project.objects.filter(organization__memberships__user=user)
    project = found.filter(pk=project_id).first()
    if project is None:
        raise Invalid(f'Invalid pk "{project_id}" - object does not exist.', code="does_not_exist", attr=attr)
    return project


def organization_to_enter(*, user: User, organization_id: UUID, attr: str) -> Organization:
    """The organization with this id that the user is a member of. Raises Invalid as `project_to_enter` does."""
    organization = Organization.objects.filter(pk=organization_id, memberships__user=user).first()
    if organization is None:
        raise Invalid(f'Invalid pk "{organization_id}" - object does not exist.', code="does_not_exist", attr=attr)
    return organization


@transaction.atomic
def update_user(*, user: User, changes: Mapping[str, Any]) -> User:
    """Change names, or enter another of the user's projects (`current_project`) or organizations."""
    for field, value in changes.items():
        setattr(user, field, value)
    if "current_project" in changes:
        user.current_organization_id = changes["current_project"].organization_id
    user.save(update_fields=["first_name", "last_name", "current_project", "current_organization"])
    settle_current([user])
    return user


def settle_current(users: Iterable[User]) -> None:
    """Let each user's current organization be one of theirs and the current project one of that organization's.

    What already fits stays; else the organization joined first and the project made first are taken, else None.
    """
    for user in users:
        joined = Organization.objects.filter(memberships__user=user).order_by("memberships__joined_at", "pk")
        organization = joined.filter(pk=user.current_organization_id).first() if user.current_organization_id else None
        if organization is None:
            with_project = Exists(Project.objects.filter(organization=OuterRef("pk")))
            organization = joined.order_by(with_project.desc(), "memberships__joined_at", "pk").first()
        projects = Project.objects.filter(organization=organization).order_by("pk")
        project = projects.filter(pk=user.current_project_id).first() if user.current_project_id else None
        user.current_organization, user.current_project = organization, project or projects.first()
        user.save(update_fields=["current_organization", "current_project"])

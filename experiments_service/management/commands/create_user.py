"""`manage.py create_user`: a further member."""

import json
import secrets
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email

from common.errors import DomainError
from experiments_service import embedded_mode
from projects import services
from projects.models import Level, Organization

LEVELS = {level.label: level for level in Level}


class Command(BaseCommand):
    help = "Create a user who is a member of an organization."

    def add_arguments(self, parser: ArgumentParser) -> None:
        embedded_mode.data_dir_option(parser)
        parser.add_argument("--email", required=True)
        parser.add_argument("--level", required=True, choices=list(LEVELS))
        parser.add_argument("--password", help="made up and printed when not given")
        parser.add_argument("--organization", type=UUID, help="its id; needed only when there are several")
        parser.add_argument("--staff", action="store_true", help="may use the admin site")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object")

    def handle(
        self,
        *,
        email: str,
        level: str,
        password: str | None,
        organization: UUID | None,
        staff: bool,
        as_json: bool,
        **options: Any,
    ) -> None:
        try:
            validate_email(email)
        except ValidationError as error:
            raise CommandError(f"{email!r} is not an e-mail address.") from error
        made_up = secrets.token_urlsafe(15)
        try:
            user = services.create_user(
                email=email,
                password=password or made_up,
                level=LEVELS[level],
                organization=_organization(organization),
                is_staff=staff,
            )
        except DomainError as error:
            raise CommandError(error.detail) from error
        if as_json:
            facts = {"id": user.pk, "uuid": str(user.uuid), "email": user.email, "level": LEVELS[level].value}
            self.stdout.write(json.dumps({**facts, "password": password or made_up}))
        else:
            told = "" if password else f" with password {made_up}"
            self.stdout.write(f"Created {user.email} ({level}){told}.")


def _organization(wanted: UUID | None) -> Organization:
    found = Organization.objects.filter(pk=wanted) if wanted else Organization.objects.all()
    match list(found.order_by("created_at")[:2]):
        case [organization]:
            return organization
        case []:
            raise CommandError("There is no such organization. `manage.py bootstrap` makes the first one.")
        case _:
            raise CommandError("There are several organizations; name one with --organization.")

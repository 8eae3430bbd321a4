"""`manage.py create_personal_api_key`: a key for a user."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.errors import DomainError
from experiments_service import embedded_mode
from projects import services
from projects.models import PersonalAPIKey, User


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _project_ids(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise ArgumentTypeError("project ids are numbers, joined by commas") from None


class Command(BaseCommand):
    help = "Create a personal API key. Its value is printed now and can never be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        embedded_mode.data_dir_option(parser)
        parser.add_argument("--email", required=True, help="the user whose key it is")
        parser.add_argument("--label", required=True)
        parser.add_argument(
            "--scopes", required=True, type=_words, help="* or such as experiment:read,feature_flag:write"
        )
        parser.add_argument("--projects", type=_project_ids, help="ids of the only projects it opens, such as 1,2")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object")

    def handle(
        self,
        *,
        email: str,
        label: str,
        scopes: list[str],
        projects: list[int] | None,
        as_json: bool,
        **options: Any,
    ) -> None:
        user = User.objects.filter(email__iexact=email).first()
        if user is None:
            raise CommandError(f"There is no user {email}.")
        longest = PersonalAPIKey._meta.get_field("label").max_length or 0
        if not 1 <= len(label) <= longest:
            raise CommandError(f"A label has 1 to {longest} characters.")
        try:
            key, value = services.create_personal_api_key(user=user, label=label, scopes=scopes, scoped_teams=projects)
        except DomainError as error:
            raise CommandError(error.detail) from error
        if as_json:
            facts = {"id": key.pk, "label": key.label, "scopes": key.scopes, "scoped_teams": key.scoped_teams}
            self.stdout.write(json.dumps({**facts, "value": value}))
        else:
            self.stdout.write(value)

"""`manage.py bootstrap`: the first organization, user, project and keys of an empty database."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from experiments_service import embedded_mode, first_start


class Command(BaseCommand):
    help = "Make the first organization, owner, project and keys, and write them to credentials.json."

    def add_arguments(self, parser: ArgumentParser) -> None:
        embedded_mode.data_dir_option(parser)
        parser.add_argument("--base-url", default="http://127.0.0.1:8000", help="(default: %(default)s)")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print the credentials as well")

    def handle(self, *, data_dir: Path, base_url: str, as_json: bool, **options: Any) -> None:
        path = data_dir / first_start.FILE_NAME
        credentials = first_start.bootstrap(base_url=base_url.rstrip("/"), path=path)
        if credentials is None:
            raise CommandError("The database has an organization already; nothing was changed.")
        self.stdout.write(json.dumps(credentials, indent=2) if as_json else f"The credentials are in {path}.")

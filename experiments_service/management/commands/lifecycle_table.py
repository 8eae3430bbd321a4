"""`manage.py lifecycle_table`: write the table of docs/lifecycle.md anew."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from experiments.lifecycle_table import with_table


class Command(BaseCommand):
    help = "Writes the table of transitions into docs/lifecycle.md."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(settings.BASE_DIR) / "docs" / "lifecycle.md"
        path.write_text(with_table(path.read_text()))

"""`manage.py demo`: a running experiment to look at, with everything that its visitors did."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils import timezone

from common.errors import DomainError
from experiments.models import Experiment
from experiments_service import embedded_mode, first_start, health
from experiments_service.demo import experiment as demo
from experiments_service.progress import Progress
from projects.models import Project, User

BASE_URL = "http://127.0.0.1:8000"


class Command(BaseCommand):
    help = "Fill a project with a running experiment and some hundred thousand events. A second run adds nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        embedded_mode.data_dir_option(parser)
        parser.add_argument("--project", type=int, help="its id (default: that of the first start)")
        parser.add_argument(
            "--visitors", type=int, default=30_000, help="how many the shop has had (default: %(default)s)"
        )

    def handle(self, *, data_dir: Path, project: int | None, visitors: int, **options: Any) -> None:
        if not 1 <= visitors <= 1_000_000:
            raise CommandError("A shop has 1 to 1000000 visitors.")
        if not health.is_migrated():
            raise CommandError("The database is not prepared yet. Start the service once: `make run`.")
        credentials = first_start.read(data_dir / first_start.FILE_NAME) or {}
        found = _project(credentials.get("project_id") if project is None else project)
        base_url = credentials.get("base_url", BASE_URL)
        present = demo.existing(found)
        if present is not None:
            self._tell_of_present(present, base_url)
            return
        now = timezone.now()
        start = demo.started_at(now, found)
        progress = Progress(sys.stderr, name="Demo", noun="visitors")
        for done in demo.fill(project=found, visitors=visitors, start=start, until=now):
            progress.show(done, part=done / visitors)
        progress.end()
        try:
            made = demo.create(project=found, user=_owner(found), start=start)
        except DomainError as error:
            raise CommandError(f"The experiment could not be made: {error.detail}") from error
        with connection.cursor() as cursor:
            # So that the first look at the results is not slower than the second.
            cursor.execute("ANALYZE")
        self.stdout.write(f"{made.name!r} has been running since {start:%A, %-d %B}. Look at its results:")
        self.stdout.write(f"  {_page(made, base_url)}")

    def _tell_of_present(self, present: Experiment, base_url: str) -> None:
        if present.deleted:
            raise CommandError(
                f"The demo of this project has been deleted. PATCH experiment {present.pk} with "
                '{"deleted": false} to restore it, or name another project with --project.'
            )
        self.stdout.write(
            f"The demo is there already; nothing was added. Look at its results:\n  {_page(present, base_url)}"
        )


def _project(wanted: int | None) -> Project:
    projects = Project.objects.order_by("pk")
    if wanted is None:
        found = projects.first()
        if found is None:
            raise CommandError("There is no project yet. Start the service once: `make run`.")
        return found
    found = projects.filter(pk=wanted).first() if 0 < wanted < 2**63 else None
    if found is None:
        raise CommandError(f"There is no project {wanted}.")
    return found


def _owner(project: Project) -> User:
    """In whose name the experiment is made: the member of the highest level, of these the first."""
    memberships = project.organization.memberships.select_related("user").order_by("-level", "joined_at")
    membership = memberships.first()
    if membership is None:
        raise CommandError(f"Project {project.pk} has no member in whose name an experiment could be made.")
    return membership.user


def _page(experiment: Experiment, base_url: str) -> str:
    return f"{base_url}/projects/{experiment.project_id}/experiments/{experiment.pk}/"

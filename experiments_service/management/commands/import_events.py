"""`manage.py import_events`: bring the events of earlier years along."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from events import imports
from events.import_files import Source, UnreadableFile, open_source
from experiments_service import embedded_mode
from experiments_service.progress import Progress
from projects.models import Project


class Command(BaseCommand):
    help = "Import events from JSON lines (.jsonl, .ndjson, .json, also .gz) or Parquet files; `-` is standard input."

    def add_arguments(self, parser: ArgumentParser) -> None:
        embedded_mode.data_dir_option(parser)
        parser.add_argument("files", nargs="+", metavar="FILE")
        parser.add_argument("--project", type=int, required=True, help="the id of the project")
        parser.add_argument(
            "--on-error", choices=["stop", "skip"], default="stop", help="what a bad row does (default: %(default)s)"
        )
        parser.add_argument("--batch-size", type=int, default=10_000, help="rows a transaction (default: %(default)s)")
        parser.add_argument("--restart", action="store_true", help="begin anew instead of behind the last batch")
        parser.add_argument("--dry-run", action="store_true", help="check all rows and store nothing")

    def handle(
        self,
        *,
        files: list[str],
        project: int,
        on_error: str,
        batch_size: int,
        restart: bool,
        dry_run: bool,
        **options: Any,
    ) -> None:
        found = Project.objects.filter(pk=project).first() if 0 < project < 2**63 else None
        if found is None:
            raise CommandError(f"There is no project {project}.")
        if batch_size < 1:
            raise CommandError("A batch has at least one row.")
        chosen = imports.Options(
            project=found,
            skip_bad_rows=on_error == "skip",
            batch_size=batch_size,
            restart=restart,
            dry_run=dry_run,
        )
        try:
            sources = [open_source(file, standard_input=sys.stdin.buffer) for file in files]
            counts = imports.total([self._import(source, chosen) for source in sources])
        except (imports.BadRow, UnreadableFile) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"read {counts.read}, stored {counts.stored}, duplicate {counts.duplicate}, skipped {counts.skipped}"
        )

    def _import(self, source: Source, options: imports.Options) -> imports.Counts:
        progress = Progress(sys.stderr, name=source.name, noun="rows")
        counts = None
        for counts in imports.import_file(source, options=options):
            for problem in counts.problems:
                self.stderr.write(problem)
            counts.problems = []
            progress.show(counts.read, part=source.part_read())
        if counts is None:
            self.stdout.write(f"{source.name}: imported before; --restart imports it again.")
            return imports.Counts()
        progress.end()
        return counts

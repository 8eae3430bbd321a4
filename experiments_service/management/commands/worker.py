"""`manage.py worker`: the background jobs."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from procrastinate.contrib.django import app
from procrastinate.contrib.django.django_connector import DjangoConnector

from experiments_service import embedded_mode, lifeline

STOP_SECONDS = 30


class Command(BaseCommand):
    help = "Run background jobs until Ctrl-C or SIGTERM; the jobs at work then have half a minute to finish."

    def add_arguments(self, parser: ArgumentParser) -> None:
        embedded_mode.data_dir_option(parser)

    def handle(self, **options: Any) -> None:
        lifeline.end_with_starter()
        connector = app.connector
        if not isinstance(connector, DjangoConnector):
            raise TypeError(f"Jobs need Django's own connection settings, not {connector!r}.")
        with app.replace_connector(connector.get_worker_connector()) as worker_app:
            worker_app.run_worker(name="worker", shutdown_graceful_timeout=STOP_SECONDS)

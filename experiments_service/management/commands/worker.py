"""`manage.py worker`: the background jobs."""

import asyncio
import signal
from argparse import ArgumentParser
from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from procrastinate import App, PsycopgConnector
from procrastinate.contrib.django import app
from procrastinate.contrib.django.utils import connector_params
from procrastinate.exceptions import ConnectorException

from experiments_service import embedded_mode, lifeline

STOP_SECONDS = 30
# How long to wait for a connection: through a quick restart of the database, not through its loss.
DATABASE_SECONDS = 5


class Command(BaseCommand):
    help = "Run background jobs until Ctrl-C or SIGTERM; the jobs at work then have half a minute to finish."

    def add_arguments(self, parser: ArgumentParser) -> None:
        embedded_mode.data_dir_option(parser)

    def handle(self, **options: Any) -> None:
        connector = PsycopgConnector(kwargs=connector_params(), timeout=DATABASE_SECONDS)
        try:
            with app.replace_connector(connector) as worker_app:
                asyncio.run(_work_until_told(worker_app))
        except ConnectorException as error:
            raise CommandError(f"The database cannot be reached: {error.__cause__ or error}.") from error


async def _work_until_told(worker_app: App) -> None:
    """Work until SIGINT or SIGTERM, whenever it comes: also before the worker has started."""
    told = asyncio.Event()  # A second order changes nothing, so it does not disturb the orderly end.
    for order in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(order, told.set)
    lifeline.end_with_starter()
    async with worker_app.open_async():  # To the end: a pool that is interrupted while it opens does not close.
        working = asyncio.ensure_future(
            worker_app.run_worker_async(
                name="worker", shutdown_graceful_timeout=STOP_SECONDS, install_signal_handlers=False
            )
        )
        waiting = asyncio.ensure_future(told.wait())
        await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working

"""The web server: granian around the WSGI application. `python -m experiments_service.web` runs it."""

import argparse
import os
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import Server

from experiments_service import lifeline

BACKLOG = 1024
# The longest that granian allows: the one thread of a worker keeps its database connection.
IDLE_SECONDS = 600
STOP_SECONDS = 30

# The server's own few lines, in the form of all others. Requests are logged by the application, once.
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "experiments_service.request_log.JSONFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "loggers": {"_granian": {"handlers": ["stderr"], "level": "WARNING", "propagate": False}},
}


def run(*, host: str, port: int, workers: int) -> None:
    """Serve until SIGINT or SIGTERM. Raises SystemExit with a status other than 0 when a worker process dies.

    Each worker process runs one request at a time: requests are bound by the processor, which more threads only
    slow down. Connections wait in the backlog.
    """
    server = Server(
        "experiments_service.wsgi:application",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        workers=workers,
        blocking_threads=1,
        blocking_threads_idle_timeout=IDLE_SECONDS,
        backlog=BACKLOG,
        workers_kill_timeout=STOP_SECONDS,
        log_dictconfig=LOGGING,
        log_level=LogLevels.warning,
        log_access=False,
        websockets=False,
    )
    server.serve()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments_service.web", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=int(os.environ.get("WEB_WORKERS", "1")))
    options = parser.parse_args()
    if not os.environ.get("SECRET_KEY"):
        parser.error("SECRET_KEY is not set. Every process of the service needs the same lasting one.")
    lifeline.end_with_starter()
    run(host=options.host, port=options.port, workers=options.workers)


if __name__ == "__main__":
    main()

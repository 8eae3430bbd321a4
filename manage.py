#!/usr/bin/env python
"""Django's command line. Commands that need a database find one, see experiments_service/embedded_mode.py."""

import os
import sys

from django.core.management import execute_from_command_line

from experiments_service import embedded_mode
from experiments_service.postgres_binaries import EmbeddedPostgresError


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "experiments_service.settings")
    try:
        with embedded_mode.environment(sys.argv) as words:
            execute_from_command_line(words)
    except EmbeddedPostgresError as error:
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()

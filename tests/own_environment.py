"""What the tests must not depend on: the variables of a developer's shell and the data directory of the checkout."""

import os

# Everything that the service reads; what a test wants to set, it sets.
VARIABLES = frozenset(
    {
        "ALLOWED_HOSTS",
        "BEHIND_TLS_PROXY",
        "COHORT_STATEMENT_TIMEOUT_SECONDS",
        "CORS_ALLOWED_ORIGINS",
        "CSRF_TRUSTED_ORIGINS",
        "DATABASE_CONN_MAX_AGE",
        "DATABASE_URL",
        "DATA_DIR",
        "EVENTS_RETENTION_MONTHS",
        "EXPERIMENT_RESULTS_FRESH_SECONDS_CLOSED",
        "EXPERIMENT_RESULTS_FRESH_SECONDS_OPEN",
        "EXPERIMENT_RESULTS_STATEMENT_TIMEOUT_SECONDS",
        "LIST_STATEMENT_TIMEOUT_SECONDS",
        "LOG_LEVEL",
        "SECRET_KEY",
        "SECRET_KEY_FALLBACKS",
        "THROTTLING_ENABLED",
        "WEB_WORKERS",
    }
)
LOCAL = "127.0.0.1,localhost"


def take() -> None:
    """Forget the shell's variables, of this process and of those it starts.

    Only a DATABASE_URL stays, and libpq's variables with it: it says on which server the tests make their databases.
    A proxy stays too, but not for the services that tests start.
    """
    own_server = not os.environ.get("DATABASE_URL")
    for name in list(os.environ):
        if name in VARIABLES - {"DATABASE_URL"} or (own_server and name.startswith("PG")):
            del os.environ[name]
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = f"{LOCAL},{os.environ.get(name, '')}".rstrip(",")

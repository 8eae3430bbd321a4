"""The service's settings, with the floors of the benchmarks mounted beside its own addresses."""

from experiments_service.settings import *  # noqa: F403  (all settings but the one below)

ROOT_URLCONF = "benchmarks.urls"

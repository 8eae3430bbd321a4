"""The service's settings, with the floors of the benchmarks mounted beside its own addresses."""

from experiments_service import settings
from experiments_service.settings import *  # noqa: F403  (all settings but those below)

# A floor on the short way that the service's own address takes, beside the one on the way of every other view.
SDK_LANE = (*settings.SDK_LANE, "/floor/lane/flags")
ROOT_URLCONF = "benchmarks.urls"

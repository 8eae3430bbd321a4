"""The service's settings at their defaults, whatever the shell that starts the tests has set."""

from tests import own_environment

own_environment.take()

from experiments_service.settings import *  # noqa: E402, F403  (all settings, once the variables are gone)

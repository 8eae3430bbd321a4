from django.apps import AppConfig


class CohortsConfig(AppConfig):
    name = "cohorts"

    def ready(self) -> None:
        from cohorts.references import exists  # noqa: PLC0415  (models are not loaded when this module is)
        from projects import test_account_filters  # noqa: PLC0415

        test_account_filters.register_cohorts(exists)

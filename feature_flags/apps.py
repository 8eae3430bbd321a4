from django.apps import AppConfig


class FeatureFlagsConfig(AppConfig):
    name = "feature_flags"

    def ready(self) -> None:
        from feature_flags import cohort_users  # noqa: PLC0415  (models are not loaded when this module is)

        cohort_users.register()

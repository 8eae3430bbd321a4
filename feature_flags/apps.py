from django.apps import AppConfig


class FeatureFlagsConfig(AppConfig):
    name = "feature_flags"

    def ready(self) -> None:
        from feature_flags import approved, cohort_users  # noqa: PLC0415  (models are not loaded yet above)

        approved.register()
        cohort_users.register()

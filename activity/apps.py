from django.apps import AppConfig


class ActivityConfig(AppConfig):
    name = "activity"

    def ready(self) -> None:
        from activity.accounts import record_account_change  # noqa: PLC0415  (models are not loaded when this module is)
        from projects import changes  # noqa: PLC0415

        changes.register(record_account_change)

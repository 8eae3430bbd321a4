from django.apps import AppConfig


class ExperimentsConfig(AppConfig):
    name = "experiments"

    def ready(self) -> None:
        from experiments import flag_users  # noqa: PLC0415  (models are not loaded when this module is)
        from experiments.api import approved  # noqa: PLC0415

        flag_users.register()
        approved.register()

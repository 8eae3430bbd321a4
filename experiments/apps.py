from django.apps import AppConfig


class ExperimentsConfig(AppConfig):
    name = "experiments"

    def ready(self) -> None:
        from experiments import flag_users  # noqa: PLC0415  (models are not loaded when this module is)

        flag_users.register()

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class ProjectsConfig(AppConfig):
    name = "projects"

    def ready(self) -> None:
        from projects import sign_in  # noqa: PLC0415  (models are not loaded when this module is)

        # The framework offers no other hook that every sign-in passes.
        user_logged_in.connect(sign_in.stamp, dispatch_uid="projects.sign_in.stamp")

from django.urls import URLPattern, URLResolver

from common.api.routing import OptionalSlashRouter
from experiments.api.experiments import ExperimentViewSet

router = OptionalSlashRouter()
router.register(r"projects/(?P<project_id>[^/]+)/experiments", ExperimentViewSet, basename="experiments")

urlpatterns: list[URLPattern | URLResolver] = [*router.urls]

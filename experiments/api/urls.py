from django.urls import URLPattern, URLResolver

from common.api.routing import OptionalSlashRouter
from experiments.api.experiments import ExperimentViewSet
from experiments.api.holdouts import ExperimentHoldoutViewSet
from experiments.api.query import QueryViewSet
from experiments.api.saved_metrics import ExperimentSavedMetricViewSet

PROJECT = r"projects/(?P<project_id>[^/]+)"

router = OptionalSlashRouter()
router.register(rf"{PROJECT}/experiments", ExperimentViewSet, basename="experiments")
router.register(rf"{PROJECT}/experiment_holdouts", ExperimentHoldoutViewSet, basename="experiment_holdouts")
router.register(
    rf"{PROJECT}/experiment_saved_metrics", ExperimentSavedMetricViewSet, basename="experiment_saved_metrics"
)
router.register(rf"{PROJECT}/query", QueryViewSet, basename="query")
# An address that clients of other services know.
router.register(r"environments/(?P<project_id>[^/]+)/query", QueryViewSet, basename="environments_query")

urlpatterns: list[URLPattern | URLResolver] = [*router.urls]

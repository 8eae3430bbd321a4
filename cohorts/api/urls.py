from django.urls import URLPattern, URLResolver

from cohorts.api.cohorts import CohortViewSet
from common.api.routing import OptionalSlashRouter

router = OptionalSlashRouter()
router.register(r"projects/(?P<project_id>[^/]+)/cohorts", CohortViewSet, basename="cohorts")

urlpatterns: list[URLPattern | URLResolver] = [*router.urls]

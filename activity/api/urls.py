from django.urls import URLPattern, URLResolver

from activity.api.log import ActivityLogViewSet
from common.api.routing import OptionalSlashRouter

router = OptionalSlashRouter()
router.register(r"projects/(?P<project_id>[^/]+)/activity_log", ActivityLogViewSet, basename="activity_log")

urlpatterns: list[URLPattern | URLResolver] = [*router.urls]

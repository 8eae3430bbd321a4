from django.urls import URLPattern, URLResolver

from common.api.routing import OptionalSlashRouter
from feature_flags.api.flags import FeatureFlagViewSet

router = OptionalSlashRouter()
router.register(r"projects/(?P<project_id>[^/]+)/feature_flags", FeatureFlagViewSet, basename="feature_flags")

urlpatterns: list[URLPattern | URLResolver] = [*router.urls]

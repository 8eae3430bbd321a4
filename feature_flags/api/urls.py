from django.urls import URLPattern, URLResolver, re_path

from common.api.routing import OptionalSlashRouter
from feature_flags.api.copies import OrganizationFlagViewSet
from feature_flags.api.flags import FeatureFlagViewSet
from feature_flags.api.schedules import ScheduledChangeViewSet
from projects.access import CURRENT

router = OptionalSlashRouter()
router.register(r"projects/(?P<project_id>[^/]+)/feature_flags", FeatureFlagViewSet, basename="feature_flags")
router.register(
    r"projects/(?P<project_id>[^/]+)/scheduled_changes", ScheduledChangeViewSet, basename="scheduled_changes"
)
router.register(
    r"organizations/(?P<organization_id>[^/]+)/feature_flags",
    OrganizationFlagViewSet,
    basename="organization_feature_flags",
)

urlpatterns: list[URLPattern | URLResolver] = [
    *router.urls,
    # Where older client libraries look for definitions.
    re_path(
        r"^feature_flag/local_evaluation/?$",
        FeatureFlagViewSet.as_view({"get": "local_evaluation"}, schema=None),
        {"project_id": CURRENT},
    ),
]

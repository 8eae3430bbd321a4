from django.urls import URLPattern, URLResolver

from approvals.api.change_requests import ChangeRequestViewSet
from approvals.api.policies import OrganizationPolicyViewSet, ProjectPolicyViewSet
from common.api.routing import OptionalSlashRouter

_PROJECT = r"projects/(?P<project_id>[^/]+)"

router = OptionalSlashRouter()
router.register(f"{_PROJECT}/approval_policies", ProjectPolicyViewSet, basename="approval_policies")
router.register(
    r"organizations/(?P<organization_id>[^/]+)/approval_policies",
    OrganizationPolicyViewSet,
    basename="organization_approval_policies",
)
router.register(f"{_PROJECT}/change_requests", ChangeRequestViewSet, basename="change_requests")

urlpatterns: list[URLPattern | URLResolver] = [*router.urls]

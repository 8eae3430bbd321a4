from django.urls import URLPattern, URLResolver

from common.api.routing import OptionalSlashRouter
from projects.api.keys import PersonalAPIKeyViewSet, ProjectSecretAPIKeyViewSet
from projects.api.organizations import MemberViewSet, OrganizationsViewSet
from projects.api.projects import OrganizationProjectViewSet, ProjectsViewSet
from projects.api.roles import RoleMembershipViewSet, RoleViewSet
from projects.api.users import UserViewSet

_ORGANIZATION = r"organizations/(?P<organization_id>[^/]+)"

router = OptionalSlashRouter()
router.register("organizations", OrganizationsViewSet, basename="organizations")
router.register(f"{_ORGANIZATION}/members", MemberViewSet, basename="members")
router.register(f"{_ORGANIZATION}/projects", OrganizationProjectViewSet, basename="organization_projects")
router.register(f"{_ORGANIZATION}/roles", RoleViewSet, basename="roles")
router.register(
    f"{_ORGANIZATION}/roles/(?P<role_id>[^/]+)/role_memberships",
    RoleMembershipViewSet,
    basename="roles_role_memberships",
)
router.register("projects", ProjectsViewSet, basename="projects")
router.register(
    r"projects/(?P<project_id>[^/]+)/project_secret_api_keys",
    ProjectSecretAPIKeyViewSet,
    basename="project_secret_api_keys",
)
router.register("users", UserViewSet, basename="users")
router.register("personal_api_keys", PersonalAPIKeyViewSet, basename="personal_api_keys")

urlpatterns: list[URLPattern | URLResolver] = [*router.urls]

from django.urls import URLPattern, URLResolver

from common.api.routing import OptionalSlashRouter
from events.api.actions import ActionViewSet
from events.api.definitions import EventDefinitionViewSet
from events.api.event_list import EventViewSet
from events.api.groups import GroupTypeViewSet, GroupViewSet
from events.api.persons import PersonViewSet

_PROJECT = r"projects/(?P<project_id>[^/]+)"

router = OptionalSlashRouter()
router.register(f"{_PROJECT}/actions", ActionViewSet, basename="actions")
router.register(f"{_PROJECT}/persons", PersonViewSet, basename="persons")
router.register(f"{_PROJECT}/groups", GroupViewSet, basename="groups")
router.register(f"{_PROJECT}/groups_types", GroupTypeViewSet, basename="groups_types")
router.register(f"{_PROJECT}/events", EventViewSet, basename="events")
router.register(f"{_PROJECT}/event_definitions", EventDefinitionViewSet, basename="event_definitions")

urlpatterns: list[URLPattern | URLResolver] = [*router.urls]

"""Experiments over REST: a view reads the request, calls the act and shows the outcome."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.preconditions import check_if_match
from experiments import services
from experiments.api import representation, schemas
from experiments.api.read import ReadExperiments
from experiments.api.requests import EndRequest, ExperimentRequest, ShipVariantRequest, named_rows, restores
from experiments.locking import lock_experiment
from experiments.models import Experiment
from projects.api.base import DeleteByPatch


class ExperimentViewSet(DeleteByPatch, ReadExperiments):
    """The experiments of a project. A soft-deleted one is reached by the PATCH that restores it alone."""

    summaries = {
        **ReadExperiments.summaries,
        "launch": "Launch a draft",
        "pause": "Pause a running experiment: its feature flag is switched off",
        "resume": "Resume a paused experiment: its feature flag is switched on",
        "end": "End an experiment; users keep their variants",
        "ship_variant": "Give one variant to everyone and end the experiment",
        "archive": "Archive a stopped experiment",
        "unarchive": "Take an experiment out of the archive",
        "reset": "Make an experiment a draft again",
    }

    @extend_schema(request=schemas.ExperimentCreateSerializer, responses={201: schemas.ExperimentSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        fields = ExperimentRequest(data=self.check_body(), context={"project": self.project}).read()
        experiment = services.create_experiment(project=self.project, user=self.caller, fields=fields)
        return self.shown(experiment.pk, status=201)

    @extend_schema(request=schemas.ExperimentUpdateSerializer, responses=schemas.ExperimentSerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        peeked = self.peek_body()
        with self._locked(deleted_too=restores(peeked), **named_rows(peeked)) as experiment:
            body = ExperimentRequest(data=self.check_body(), partial=True, context={"project": self.project})
            services.update_experiment(experiment, user=self.caller, changes=body.read())
        return self.shown(experiment.pk)

    @extend_schema(request=None, responses=schemas.ExperimentSerializer)
    @action(detail=True, methods=["post"])
    def launch(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._act("launch")

    @extend_schema(request=None, responses=schemas.ExperimentSerializer)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._act("pause")

    @extend_schema(request=None, responses=schemas.ExperimentSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._act("resume")

    @extend_schema(request=schemas.EndRequestSerializer, responses=schemas.ExperimentSerializer)
    @action(detail=True, methods=["post"])
    def end(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._act("end", EndRequest)

    @extend_schema(request=schemas.ShipVariantRequestSerializer, responses=schemas.ExperimentSerializer)
    @action(detail=True, methods=["post"])
    def ship_variant(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._act("ship_variant", ShipVariantRequest)

    @extend_schema(request=None, responses=schemas.ExperimentSerializer)
    @action(detail=True, methods=["post"])
    def archive(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._act("archive")

    @extend_schema(request=None, responses=schemas.ExperimentSerializer)
    @action(detail=True, methods=["post"])
    def unarchive(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._act("unarchive")

    @extend_schema(request=None, responses=schemas.ExperimentSerializer)
    @action(detail=True, methods=["post"])
    def reset(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._act("reset")

    def _act(self, name: str, body: type[EndRequest] | None = None) -> Response:
        with self._locked() as experiment:
            arguments = body(data=self.check_body()).read() if body is not None else {}
            services.act(experiment, name, user=self.caller, arguments=arguments)
        return self.shown(experiment.pk)

    @contextmanager
    def _locked(self, **named: Any) -> Iterator[Experiment]:
        """The experiment of the path and its flag, locked; If-Match has been judged on the locked row."""
        with transaction.atomic():
            experiment = lock_experiment(project=self.project, experiment_id=self.object_id, **named)
            wanted = self.request.headers.get("If-Match")
            if wanted is not None:
                shown = representation.one(
                    project=self.project, experiment_id=experiment.pk, user_access_level=None, deleted=None
                )
                check_if_match(wanted, representation.etag(shown))
            yield experiment

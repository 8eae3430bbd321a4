"""Experiments over REST: a view reads the request, calls the act and shows the outcome."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from approvals.api.mixins import ApprovalHandlingMixin
from cohorts.api import representation as cohort_representation
from common.api.preconditions import check_if_match
from experiments import duplicate, services
from experiments.api import representation, schemas
from experiments.api.requests import (
    CopyToProjectRequest,
    DuplicateRequest,
    EndRequest,
    ExperimentChange,
    ExperimentCreation,
    ShipVariantRequest,
    named_rows,
    restores,
    wishes,
)
from experiments.api.timeseries import (
    ExperimentTimeseriesMixin,
    RecalculationRequest,
    RecalculationSerializer,
    recalculation_shown,
)
from experiments.exposure_cohort import create_exposure_cohort
from experiments.locking import lock_experiment
from experiments.models import Experiment
from experiments.results import recalculations
from projects.access import writable_sibling
from projects.api.base import DeleteByPatch
from projects.models import Project


class ExperimentViewSet(ApprovalHandlingMixin, DeleteByPatch, ExperimentTimeseriesMixin):
    """The experiments of a project. A soft-deleted one is reached by the PATCH that restores it alone."""

    gated_actions = ("create", "partial_update", "launch", "pause", "resume", "ship_variant")
    summaries = {
        **ExperimentTimeseriesMixin.summaries,
        "launch": "Launch a draft",
        "pause": "Pause a running experiment: its feature flag is switched off",
        "resume": "Resume a paused experiment: its feature flag is switched on",
        "end": "End an experiment; users keep their variants",
        "ship_variant": "Give one variant to everyone and end the experiment",
        "archive": "Archive a stopped experiment",
        "unarchive": "Take an experiment out of the archive",
        "reset": "Make an experiment a draft again",
        "duplicate": "Copy an experiment within its project",
        "copy_to_project": "Copy an experiment to another project",
        "recalculate_timeseries": "Compute the results by day of a metric anew",
        "create_exposure_cohort_for_experiment": "Create the cohort of the users whom an experiment exposed",
    }

    @extend_schema(request=ExperimentCreation, responses={201: schemas.ExperimentSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        fields = ExperimentCreation(data=self.check_body(), context={"project": self.project}).read()
        experiment = services.create_experiment(project=self.project, user=self.caller, fields=fields)
        return self.shown(experiment.pk, status=201)

    @extend_schema(request=ExperimentChange, responses=schemas.ExperimentSerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        peeked = self.peek_body()
        with self._locked(deleted_too=restores(peeked), **named_rows(peeked)) as experiment:
            context = {"project": self.project, "experiment": experiment}
            body = ExperimentChange(data=self.check_body(), partial=True, context=context)
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

    @extend_schema(request=EndRequest, responses=schemas.ExperimentSerializer)
    @action(detail=True, methods=["post"])
    def end(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._act("end", EndRequest)

    @extend_schema(request=ShipVariantRequest, responses=schemas.ExperimentSerializer)
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

    @extend_schema(request=DuplicateRequest, responses=schemas.ExperimentSerializer)
    @action(detail=True, methods=["post"])
    def duplicate(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with transaction.atomic():
            source = self._locked_source(self.project)
            body = DuplicateRequest(data=self.check_body()).read()
            made = duplicate.copy_experiment(source, target=self.project, user=self.caller, **wishes(body))
        return self.shown(made.pk)

    @extend_schema(request=CopyToProjectRequest, responses={201: schemas.ExperimentSerializer})
    @action(detail=True, methods=["post"])
    def copy_to_project(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        self._check_if_match(cast(Experiment, self.get_object()))
        body = CopyToProjectRequest(data=self.check_body()).read()
        target = writable_sibling(request, body["target_team_id"])
        with transaction.atomic():
            source = self._locked_source(target)
            made = duplicate.copy_experiment(source, target=target, user=self.caller, **wishes(body))
        return self.shown(made.pk, status=201, project=target)

    @extend_schema(request=None, responses=schemas.ExposureCohortSerializer)
    @action(detail=True, methods=["post"])
    def create_exposure_cohort_for_experiment(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with self._locked() as experiment:
            cohort = create_exposure_cohort(experiment, user=self.caller)
        return Response({"cohort": cohort_representation.shown(cohort)})

    @extend_schema(request=RecalculationRequest, responses={201: RecalculationSerializer, 200: RecalculationSerializer})
    @action(detail=True, methods=["post"])
    def recalculate_timeseries(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with self._locked() as experiment:
            wanted = RecalculationRequest(data=self.check_body()).read()
            made, is_new = recalculations.request(experiment, **wanted)
        return Response(recalculation_shown(made), status=201 if is_new else 200)

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
            self._check_if_match(experiment)
            yield experiment

    def _locked_source(self, target: Project) -> Experiment:
        """The experiment of the path, locked with its flag and the one that the body names in `target`."""
        key = self.peek_body().get("feature_flag_key")
        source = duplicate.lock_source(
            project=self.project,
            experiment_id=self.object_id,
            target=target,
            key=key.strip() if isinstance(key, str) else None,
        )
        self._check_if_match(source)
        return source

    def _check_if_match(self, experiment: Experiment) -> None:
        wanted = self.request.headers.get("If-Match")
        if wanted is not None:
            shown = representation.one(
                project=self.project, experiment_id=experiment.pk, user_access_level=None, deleted=None
            )
            check_if_match(wanted, representation.etag(shown))

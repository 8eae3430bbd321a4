"""Experiments as users of flags: what `feature_flags.usage` asks and tells."""

from collections.abc import Collection, Mapping
from typing import Literal, cast

from django.db.models import Exists, OuterRef, Q, QuerySet

from common.documents import same_document
from experiments import parameters
from experiments.models import Experiment
from feature_flags import usage
from feature_flags.models import FeatureFlag


def register() -> None:
    """Called once, when the applications are ready."""
    usage.register(
        usage.FlagUsers(
            linked=_linked,
            lock=_lock,
            configuration_changed=_configuration_changed,
            named_like=lambda text: Q(Exists(_live().filter(name__icontains=text))),
            in_use=lambda: Q(Exists(_live())),
        )
    )


def _live() -> QuerySet[Experiment]:
    return Experiment.objects.filter(feature_flag=OuterRef("pk"), deleted=False)


def _linked(flag_ids: Collection[int]) -> Mapping[int, list[usage.LinkedExperiment]]:
    by_flag: dict[int, list[usage.LinkedExperiment]] = {}
    rows = Experiment.objects.filter(feature_flag_id__in=flag_ids).order_by("pk")
    for flag_id, pk, name, status, deleted in rows.values_list("feature_flag_id", "pk", "name", "status", "deleted"):
        known = cast(Literal["draft", "running", "stopped"], status)  # the column's only values
        by_flag.setdefault(flag_id, []).append(usage.LinkedExperiment(id=pk, name=name, status=known, deleted=deleted))
    return by_flag


def _lock(flag_ids: Collection[int]) -> None:
    rows = Experiment.objects.select_for_update(of=("self",)).filter(feature_flag_id__in=flag_ids)
    list(rows.order_by("pk").values_list("pk", flat=True))


def _configuration_changed(flag: FeatureFlag, first_rollout_changed: bool) -> None:
    """What the experiments keep of the flag's configuration follows it."""
    for experiment in Experiment.objects.filter(feature_flag=flag).order_by("pk"):
        experiment.feature_flag = flag
        stored, shown = experiment.parameters, experiment.shown_parameters
        experiment.parameters = parameters.following_flag(stored, flag.filters, with_rollout=first_rollout_changed)
        experiment.shown_parameters = parameters.shown(experiment)
        if not same_document((stored, shown), (experiment.parameters, experiment.shown_parameters)):
            experiment.save(update_fields=["parameters", "shown_parameters", "updated_at"])

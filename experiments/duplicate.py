"""Copies of an experiment, in its project or in another one: drafts with the same question and fresh metrics."""

from collections.abc import Mapping, Sequence
from itertools import chain, count
from typing import Any
from uuid import uuid4

from common.errors import Invalid, Missing
from experiments import exposure_criteria, flag_config, flag_link, metric_set, metrics, parameters, services
from experiments.action_references import check_actions
from experiments.flag_config import FlagSettings
from experiments.locking import lock_saved_metrics
from experiments.metric_set import LISTS, ORDER_OF_LIST, MetricPlan, PlannedLink
from experiments.models import Experiment, ExperimentType
from feature_flags import services as flags
from feature_flags.keys import KeyTaken
from feature_flags.models import FeatureFlag
from feature_flags.validation.groups import first_rollout
from feature_flags.validation.variants import variant_keys, variants_of
from projects.models import Project, User

MAX_NAME = 400
_ROOM = 30  # for any suffix that tells copies apart
_COPIED = (
    "parameters",
    "running_time_calculation",
    "excluded_variants",
    "filters",
    "stats_config",
    "scheduling_config",
    "exposure_criteria",
    "only_count_matured_users",
    "exposure_preaggregation_enabled",
)


def lock_source(*, project: Project, experiment_id: int, target: Project, key: str | None) -> Experiment:
    """The experiment to be copied with its flag, both locked, and with them the flag that the copy may be linked to.

    `key` is that of the wanted flag in `target`; None means the source's own. Raises Missing.
    """
    rows = Experiment.objects.filter(project=project, deleted=False, pk=experiment_id)
    source = rows.select_related("feature_flag").first()
    if source is None:
        raise Missing
    lock_saved_metrics(project, source.saved_metric_links.values_list("saved_metric_id", flat=True))
    wanted = FeatureFlag.objects.filter(project=target, key=key or source.feature_flag.plain_key, deleted=False)
    flag_ids = {source.feature_flag_id, *wanted.values_list("pk", flat=True)}
    locked = flags.lock_flags(flag_ids, with_experiments=True)
    source = rows.first()
    if source is None:  # deleted since it was looked up
        raise Missing
    source.project = project
    source.feature_flag = locked[source.feature_flag_id]
    return source


def copy_experiment(
    source: Experiment, *, target: Project, user: User, feature_flag_key: str | None, name: str | None
) -> Experiment:
    """A draft like a locked `source` in `target`, made by `user`.

    Without a key, or with the source's own in its project, both share one flag; a live flag of another key is linked
    as it is; else a new, inactive flag like the source's is created. Holdout, dates, conclusion and archive mark stay
    behind, in another project the saved metrics as well. Raises Invalid by the rules of linking and creating, and
    when the target lacks an action that the metrics need.
    """
    key = _key(source, feature_flag_key)
    copy = Experiment(
        project=target,
        name=name or _free_name(target, source.name),
        description=source.description or "",
        type=source.type or ExperimentType.PRODUCT,
        created_by=user,
        **{field: getattr(source, field) for field in _COPIED},
    )
    planned = _copy_metrics(source, copy)
    if target != source.project:
        _check_actions(copy)
    _give_flag(copy, source, key=key, user=user)
    services.check_analysis(copy, variant_keys(copy.feature_flag.filters))
    services.insert(copy, planned, user=user)
    return copy


def _key(source: Experiment, sent: str | None) -> str:
    if sent is not None and not sent.strip():
        raise Invalid("This field may not be blank.", code="blank", attr="key")
    return sent or source.feature_flag.plain_key


def _give_flag(copy: Experiment, source: Experiment, *, key: str, user: User) -> None:
    flag = source.feature_flag
    if copy.project == source.project and key == flag.plain_key:
        if flag.deleted:
            raise Invalid(
                "The feature flag of this experiment has been deleted. Send a new feature_flag_key.",
                attr="feature_flag_key",
            )
        copy.feature_flag = flag
        return
    while True:
        live = flag_link.live_flag(copy.project, key)
        if live is not None:
            flag_link.link(copy, live)
            return
        try:
            copy.feature_flag = flag_link.create(copy, key=key, settings=_settings(source), active=False, user=user)
        except KeyTaken:
            continue  # Somebody made it at this very moment: it is linked instead.
        return


def _settings(source: Experiment) -> FlagSettings:
    """What a new flag takes over: of the source's parameters what they say, else of its flag."""
    flag = source.feature_flag
    of_flag = FlagSettings(
        variants=variants_of(flag.filters),
        rollout=first_rollout(flag.filters),
        aggregation=flag.filters.get(parameters.AGGREGATION),
        continuity=flag.ensure_experience_continuity,
    )
    said = flag_config.settings_of_parameters(source.parameters)
    settings = of_flag.overlaid_by(FlagSettings(variants=said.variants, rollout=said.rollout))
    keys = {variant["key"] for variant in settings.variants}
    payloads = {key: text for key, text in flag.filters.get("payloads", {}).items() if key in keys}
    return settings.overlaid_by(FlagSettings(payloads=payloads)) if payloads else settings


def _copy_metrics(source: Experiment, copy: Experiment) -> MetricPlan:
    """Metrics with fresh uuids, orders with these in place of the old ones; saved metrics within the project only."""
    fresh = {metric["uuid"]: str(uuid4()) for name in LISTS for metric in getattr(source, name)}
    links = metric_set.links_of(source)
    within = copy.project == source.project
    left_behind = set() if within else {link.saved_metric.query["uuid"] for link in links}
    for name, order in ORDER_OF_LIST.items():
        listed = [{**metric, "uuid": fresh[metric["uuid"]]} for metric in getattr(source, name)]
        setattr(copy, name, listed)
        setattr(copy, order, _remapped(getattr(source, order), fresh, left_behind=left_behind))
    if not within:
        return MetricPlan()
    return MetricPlan(
        links=[PlannedLink(saved_metric=link.saved_metric, metadata=link.metadata, row=None) for link in links]
    )


def _remapped(order: Sequence[str] | None, fresh: Mapping[str, str], *, left_behind: set[Any]) -> list[str] | None:
    if order is None:
        return None
    return [fresh.get(entry, entry) for entry in order if entry not in left_behind]


def _check_actions(copy: Experiment) -> None:
    wanted = metrics.action_ids([*copy.metrics, *copy.metrics_secondary])
    check_actions(copy.project, wanted=wanted | exposure_criteria.action_ids(copy.exposure_criteria))


def _free_name(project: Project, name: str) -> str:
    """`<name> (Copy)`, then with the first free number behind it; the name is shortened to fit."""
    taken = set(
        Experiment.objects.filter(
            project=project, deleted=False, name__startswith=name[: MAX_NAME - _ROOM], name__contains="(Copy)"
        ).values_list("name", flat=True)
    )
    suffixes = chain([" (Copy)"], (f" (Copy) {number}" for number in count(1)))
    candidates = (name[: MAX_NAME - len(suffix)] + suffix for suffix in suffixes)
    return next(candidate for candidate in candidates if candidate not in taken)

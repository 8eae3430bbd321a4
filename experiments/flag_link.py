"""An experiment's flag: linked or created with it, written from a draft, guarded after the launch."""

from collections.abc import Mapping
from typing import Any

from activity.recorder import Trigger
from approvals.gate import Passed
from common.errors import Invalid
from experiments import flag_config, parameters
from experiments.flag_config import OMITTED, FlagSettings
from experiments.models import Experiment, ExperimentHoldout
from experiments.parameters import Parameters
from experiments.variants import TOO_MANY, check_flag_variants
from feature_flags import services as flags
from feature_flags.eligibility import MAX_VARIANTS
from feature_flags.keys import KeyTaken
from feature_flags.models import FeatureFlag
from feature_flags.services import FlagChanges
from feature_flags.validation.variants import variant_keys
from projects.models import Project, User


def live_flag(project: Project, key: str) -> FeatureFlag | None:
    """The project's live flag with this key, locked with its experiments until the transaction ends."""
    while True:
        flag_id = (
            FeatureFlag.objects.filter(project=project, key=key, deleted=False).values_list("pk", flat=True).first()
        )
        if flag_id is None:
            return None
        flag = flags.lock_flag(project=project, flag_id=flag_id, with_experiments=True)
        if flag.key == key and not flag.deleted:
            return flag


def link_or_create(
    experiment: Experiment,
    *,
    key: str,
    settings: FlagSettings,
    is_configured: bool,
    user: User,
    trigger: Trigger | None = None,
) -> bool:
    """Give a new experiment its flag: the live one with the key as it is, else a new one with these settings.

    Answers whether it is a new one, which is active when the experiment is born launched. Raises Invalid when the
    live flag cannot carry an experiment, or when the request configures a flag that is there already
    (`is_configured`).
    """
    while True:
        flag = live_flag(experiment.project, key)
        if flag is not None:
            if is_configured:
                raise Invalid(
                    f"A feature flag with key '{key}' already exists; the experiment links to it as-is, so its config "
                    "cannot be set here. Omit feature_flag to reuse the existing flag, or edit the flag directly.",
                    attr="feature_flag",
                )
            link(experiment, flag)
            return False
        active = experiment.start_date is not None
        try:
            experiment.feature_flag = create(
                experiment, key=key, settings=settings, active=active, user=user, trigger=trigger
            )
        except KeyTaken:
            continue  # Somebody made it at this very moment: it is linked instead.
        return True


def link(experiment: Experiment, flag: FeatureFlag) -> None:
    """Put a new experiment on a locked live flag; what its parameters say of the flag is what the flag says.

    Raises Invalid unless the flag has 2 to 20 variants, one of them the control.
    """
    keys = variant_keys(flag.filters)
    if len(keys) > MAX_VARIANTS:
        raise Invalid(TOO_MANY)
    check_flag_variants(keys)
    experiment.feature_flag = flag
    experiment.parameters = parameters.following_flag(experiment.parameters, flag.filters, with_rollout=True)


def create(
    experiment: Experiment,
    *,
    key: str,
    settings: FlagSettings,
    active: bool,
    user: User,
    trigger: Trigger | None = None,
) -> FeatureFlag:
    """A new flag for an experiment. Raises KeyTaken when it was made at the same moment, Invalid by flag rules.

    The gate is not asked: a draft's flag serves nobody, and for one that is born active the experiment asks.
    """
    project = experiment.project
    continuity = settings.continuity
    if continuity is OMITTED or continuity is None:
        continuity = project.flags_persistence_default
    if settings.variants is not OMITTED:
        experiment.parameters = {**experiment.parameters, parameters.VARIANTS: settings.variants}
    return flags.create_flag(
        project=project,
        user=user,
        key=key,
        name=f"Feature Flag for Experiment {experiment.name}",
        filters=flag_config.new_filters(settings, holdout=experiment.holdout),
        active=active,
        ensure_experience_continuity=continuity,
        folder=experiment.folder,
        gate=Passed(trigger=trigger),
    )


def planned_changes(
    experiment: Experiment, changes: Mapping[str, Any], *, holdout: ExperimentHoldout | None
) -> FlagChanges:
    """What a PATCH of a locked experiment writes into its flag. `holdout` is the one it names.

    From a draft: what parameters, holdout and `feature_flag` say. After the launch only with
    `update_feature_flag_params`. Raises Invalid for what an experiment may not do to its flag in its present state.
    """
    launched = experiment.start_date is not None
    sent: Parameters | None = changes.get("parameters")
    configured: FlagSettings | None = changes.get("feature_flag")
    write = not launched or changes.get("update_feature_flag_params", False)
    if launched:
        _refuse_after_launch(experiment, changes, configured=configured, write=write)
    if not write:
        return {}
    settings = flag_config.settings_of_parameters(sent.document) if sent is not None else FlagSettings()
    settings = settings.overlaid_by(configured or FlagSettings())
    planned: FlagChanges = {}
    part = OMITTED if launched else _holdout_part(experiment, changes, holdout)
    if not settings.is_empty or part is not OMITTED:
        planned["filters"] = flag_config.changed_filters(experiment.feature_flag.filters, settings, holdout=part)
    if settings.continuity is not OMITTED and settings.continuity is not None:
        planned["ensure_experience_continuity"] = settings.continuity
    return planned


def _refuse_after_launch(
    experiment: Experiment, changes: Mapping[str, Any], *, configured: FlagSettings | None, write: bool
) -> None:
    present = variant_keys(experiment.feature_flag.filters)
    sent: Parameters | None = changes.get("parameters")
    from_parameters = OMITTED if sent is None else sent.document.get(parameters.VARIANTS, OMITTED)
    from_flag = OMITTED if configured is None else configured.variants
    for variants in (from_parameters, from_flag):
        if variants is not OMITTED and sorted(variant["key"] for variant in variants) != sorted(present):
            raise Invalid("Can't update feature_flag_variants on Experiment")
    if configured is not None and not write:
        raise Invalid(
            "This experiment is running. To change its flag config, send update_feature_flag_params=true "
            "(or edit the feature flag directly).",
            attr="feature_flag",
        )
    if "holdout_id" in changes and changes["holdout_id"] != experiment.holdout_id:
        raise Invalid("Can't update holdout on running Experiment")


def _holdout_part(experiment: Experiment, changes: Mapping[str, Any], holdout: ExperimentHoldout | None) -> Any:
    """The flag's holdout after a draft's PATCH; OMITTED where it does not speak of one.

    No holdout, sent back by an experiment that has none, says nothing: the flag may have got its own elsewhere.
    """
    if "holdout_id" not in changes or (holdout is None and experiment.holdout_id is None):
        return OMITTED
    return flag_config.holdout_part(holdout)

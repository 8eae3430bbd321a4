"""What experiments and their flags are supposed to do, as plain Python over plain values.

Written from the documentation: it knows neither the service's code nor its database. A request is tried on a copy
(`Model.trial`), which either refuses it (`Refused`) or is the new state, with what the activity log must have got.
"""

from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

Variants = list[dict[str, Any]]

DEFAULT: Variants = [
    {"key": "control", "name": "Control Group", "rollout_percentage": 50},
    {"key": "test", "name": "Test Variant", "rollout_percentage": 50},
]
ADDED_GROUP = {
    "properties": [],
    "rollout_percentage": 100,
    "description": "Added automatically when the experiment was ended to keep only one variant.",
}
DATE_ORDER = "End date must be after start date"
NOT_ENDED = "Experiment must be ended before it can be archived."
NOT_LAUNCHED = "Experiment has not been launched yet."
ENDED = "Experiment has already ended."
FLAG_ARCHIVED = "Cannot enable an archived feature flag. Unarchive it first."


class Refused(Exception):
    def __init__(self, detail: str, status: int = 400) -> None:
        self.detail, self.status = detail, status


@dataclass(frozen=True)
class Entry:
    """A row of the activity log; `act` is the lifecycle act it names."""

    scope: str
    id: int
    activity: str
    act: str | None = None


@dataclass
class Flag:
    id: int
    key: str
    filters: dict[str, Any]
    active: bool
    archived: bool = False
    deleted: bool = False
    version: int = 1

    @property
    def variants(self) -> Variants:
        listed: Variants = self.filters["multivariate"]["variants"]
        return listed

    @property
    def shown_key(self) -> str:
        return f"{self.key}:deleted:{self.id}" if self.deleted else self.key


@dataclass
class Experiment:
    """`kept` are the variants that its own parameters hold, None while they hold none."""

    id: int
    name: str
    flag_id: int
    start: datetime | None = None
    end: datetime | None = None
    archived: bool = False
    deleted: bool = False
    conclusion: str | None = None
    comment: str | None = None
    holdout: int | None = None
    kept: Variants | None = None


def keys(variants: Variants) -> list[str]:
    return [variant["key"] for variant in variants]


@dataclass
class Model:
    now: datetime
    holdouts: dict[int, int]
    experiments: dict[int, Experiment] = field(default_factory=dict)
    flags: dict[int, Flag] = field(default_factory=dict)
    written: list[Entry] = field(default_factory=list)
    ids: tuple[int, int] = (0, 0)
    """Of the experiment and of the flag that come to be when one is created."""

    def trial(self) -> "Model":
        """A copy on which a request is tried, with an empty log."""
        return replace(deepcopy(self), written=[])

    def flag_of(self, experiment: Experiment) -> Flag:
        return self.flags[experiment.flag_id]

    def status(self, experiment: Experiment) -> str:
        if experiment.start is None:
            return "draft"
        if experiment.end is not None:
            return "stopped"
        return "running" if self.flag_of(experiment).active else "paused"

    def on_flag(self, flag: Flag) -> list[Experiment]:
        return [experiment for experiment in self.experiments.values() if experiment.flag_id == flag.id]

    def live_flag(self, key: str) -> Flag | None:
        return next((flag for flag in self.flags.values() if flag.key == key and not flag.deleted), None)

    def part(self, holdout: int | None) -> dict[str, Any] | None:
        return None if holdout is None else {"id": holdout, "exclusion_percentage": self.holdouts[holdout]}

    # --- Creating ------------------------------------------------------------------------------------------------

    def create(
        self,
        *,
        name: str,
        key: str,
        start: datetime | None,
        end: datetime | None,
        archived: bool,
        variants: Variants | None,
        holdout: int | None,
    ) -> None:
        if archived and (start is None or end is None):
            raise Refused(NOT_ENDED)
        self._check_order(start, end)
        made = Experiment(self.ids[0], name, self.ids[1], start, end, archived, holdout=holdout, kept=variants)
        flag = self.live_flag(key)
        if flag is not None:
            self._link(made, flag)
        else:
            self._new_flag(self.ids[1], key, variants or DEFAULT, active=start is not None, holdout=self.part(holdout))
        self._add(made)

    def duplicate(self, source_id: int, *, key: str | None) -> None:
        source = self._found(source_id)
        flag = self.flag_of(source)
        copy = Experiment(self.ids[0], self._copy_name(source.name), flag.id, kept=source.kept)
        if key in (None, flag.key):
            if flag.deleted:
                raise Refused("The feature flag of this experiment has been deleted. Send a new feature_flag_key.")
        elif (other := self.live_flag(str(key))) is not None:
            self._link(copy, other)
        else:
            copy.flag_id, copy.kept = self.ids[1], source.kept or flag.variants
            self._new_flag(self.ids[1], str(key), copy.kept, active=False, holdout=None)
        self._add(copy)

    def _link(self, experiment: Experiment, flag: Flag) -> None:
        experiment.flag_id, experiment.kept = flag.id, flag.variants

    def _new_flag(
        self, flag_id: int, key: str, variants: Variants, *, active: bool, holdout: dict[str, Any] | None
    ) -> None:
        filters = {
            "groups": [{"properties": [], "rollout_percentage": 100}],
            "multivariate": {"variants": variants},
            "aggregation_group_type_index": None,
            "holdout": holdout,
        }
        self.flags[flag_id] = Flag(flag_id, key, filters, active)
        self.written.append(Entry("FeatureFlag", flag_id, "created"))

    def _add(self, experiment: Experiment) -> None:
        self.experiments[experiment.id] = experiment
        self.written.append(Entry("Experiment", experiment.id, "created"))

    def _copy_name(self, name: str) -> str:
        taken = {experiment.name for experiment in self.experiments.values() if not experiment.deleted}
        candidate, number = f"{name} (Copy)", 0
        while candidate in taken:
            number += 1
            candidate = f"{name} (Copy) {number}"
        return candidate

    # --- Acts and changes ----------------------------------------------------------------------------------------

    def act(self, experiment_id: int, name: str, **arguments: Any) -> None:
        experiment = self._found(experiment_id)
        before, flag_before = deepcopy(experiment), deepcopy(self.flag_of(experiment))
        self._transition(experiment, name, self.now, **arguments)
        self._finish(experiment, before, flag_before, [name])

    def is_done(self, experiment_id: int, name: str, **arguments: Any) -> bool:
        """Whether everything is as the act would leave it."""
        experiment = self._found(experiment_id)
        flag, state = self.flag_of(experiment), self.status(experiment)
        match name:
            case "launch":
                return state != "draft" and flag.active
            case "pause" | "resume":
                return state == ("paused" if name == "pause" else "running")
            case "ship_variant":
                if state != "stopped" or arguments["variant_key"] not in keys(flag.variants):
                    return False
                trial = self.trial()
                shipped = trial.experiments[experiment_id]
                trial._end(shipped, experiment.end or self.now, arguments)
                trial._ship(trial.flag_of(shipped), arguments["variant_key"], everyone=arguments["release_to_everyone"])
                return (shipped, trial.flag_of(shipped).filters) == (experiment, flag.filters)
        return False

    def patch(self, experiment_id: int, sent: dict[str, Any]) -> None:
        """`sent` uses the names of the model; `switch` is update_feature_flag_params."""
        experiment = self._found(experiment_id, restoring=sent.get("deleted") is False)
        flag = self.flag_of(experiment)
        before, flag_before = deepcopy(experiment), deepcopy(flag)
        if experiment.deleted and flag.deleted:
            raise Refused(
                "Cannot restore experiment: the linked feature flag has been deleted. "
                "Restore the feature flag first, then restore the experiment."
            )
        self._check_order(sent.get("start", experiment.start), sent.get("end", experiment.end))
        self._configure(experiment, flag, sent)
        acts = self._route(experiment, sent)
        for name in ("name", "conclusion", "comment", "deleted"):
            if name in sent:
                setattr(experiment, name, sent[name])
        self._finish(experiment, before, flag_before, acts)

    def _configure(self, experiment: Experiment, flag: Flag, sent: dict[str, Any]) -> None:
        launched = experiment.start is not None
        variants = sent.get("variants")
        if launched and variants is not None and sorted(keys(variants)) != sorted(keys(flag.variants)):
            raise Refused("Can't update feature_flag_variants on Experiment")
        if launched and sent.get("holdout", experiment.holdout) != experiment.holdout:
            raise Refused("Can't update holdout on running Experiment")
        if variants is not None:
            # The same as shown until now says nothing new.
            if variants != (experiment.kept or flag.variants):
                experiment.kept = variants
            if not launched or sent.get("switch"):
                flag.filters["multivariate"] = {"variants": variants}
        if "holdout" in sent and not launched:
            part = self.part(sent["holdout"])
            if (part is not None or experiment.holdout is not None) and part != flag.filters.get("holdout"):
                flag.filters["holdout"] = part
            experiment.holdout = sent["holdout"]

    def _route(self, experiment: Experiment, sent: dict[str, Any]) -> list[str]:
        acts: list[str] = []
        if "start" in sent and sent["start"] != experiment.start:
            if sent["start"] is None:
                self._transition(experiment, "reset", self.now)
                acts.append("reset")
            elif experiment.start is None:
                if "end" in sent:
                    experiment.end = None
                self._transition(experiment, "launch", sent["start"])
                acts.append("launch")
            else:
                experiment.start = sent["start"]
        if "end" in sent and sent["end"] != experiment.end:
            if experiment.start is None or (sent["end"] is not None and experiment.end is not None):
                experiment.end = sent["end"]
            else:
                acts.append("reopen" if sent["end"] is None else "end")
                experiment.end = sent["end"]
                experiment.archived = experiment.archived and acts[-1] != "reopen"
        if "archived" in sent and sent["archived"] != experiment.archived:
            acts.append("archive" if sent["archived"] else "unarchive")
            self._transition(experiment, acts[-1], self.now)
        return acts

    def _transition(self, experiment: Experiment, name: str, at: datetime, **arguments: Any) -> None:
        flag, state = self.flag_of(experiment), self.status(experiment)
        match name:
            case "launch":
                self._refuse_if(state != "draft", "Experiment has already been launched.")
                self._refuse_if(
                    flag.deleted, "Experiment cannot be launched because its feature flag has been deleted."
                )
                self._check_order(at, experiment.end)
                experiment.start, flag.active = at, True
            case "pause" | "resume":
                self._refuse_if(state == "draft", NOT_LAUNCHED)
                self._refuse_if(state == "stopped", ENDED)
                self._refuse_if(flag.deleted, "Experiment does not have a feature flag linked.")
                self._refuse_if(name == "pause" and state == "paused", "Experiment is already paused.")
                self._refuse_if(name == "resume" and state == "running", "Experiment is not paused.")
                flag.active = name == "resume"
            case "end":
                self._refuse_if(state == "draft", NOT_LAUNCHED)
                self._refuse_if(state == "stopped", ENDED)
                self._end(experiment, at, arguments)
            case "ship_variant":
                self._refuse_if(state == "draft", NOT_LAUNCHED)
                self._refuse_if(flag.deleted, "Experiment does not have a linked feature flag.")
                key = arguments["variant_key"]
                self._refuse_if(key not in keys(flag.variants), f"Variant '{key}' not found on feature flag.")
                self._end(experiment, experiment.end or at, arguments)
                self._ship(flag, key, everyone=arguments["release_to_everyone"])
            case "archive":
                self._refuse_if(experiment.archived, "Experiment is already archived.")
                self._refuse_if(state != "stopped", NOT_ENDED)
                experiment.archived = True
            case "unarchive":
                self._refuse_if(not experiment.archived, "Experiment is not archived.")
                experiment.archived = False
            case "reset":
                self._refuse_if(state == "draft", "Experiment is already in draft state.")
                experiment.start = experiment.end = experiment.conclusion = experiment.comment = None
                experiment.archived = False

    def _end(self, experiment: Experiment, at: datetime, arguments: dict[str, Any]) -> None:
        self._check_order(experiment.start, at)
        experiment.end = at
        experiment.conclusion = arguments.get("conclusion", experiment.conclusion)
        experiment.comment = arguments.get("conclusion_comment", experiment.comment)

    def _ship(self, flag: Flag, key: str, *, everyone: bool) -> None:
        variants = [
            {name: variant[name] for name in ("key", "name") if variant.get(name)}
            | {"rollout_percentage": 100 if variant["key"] == key else 0}
            for variant in flag.variants
        ]
        flag.filters["multivariate"] = {"variants": variants}
        if everyone:
            groups = flag.filters["groups"]
            flag.filters = {
                "groups": groups if groups[0] == ADDED_GROUP else [ADDED_GROUP, *groups],
                "multivariate": {"variants": variants},
                "payloads": {},
                "aggregation_group_type_index": None,
            }

    def _finish(self, experiment: Experiment, before: Experiment, flag_before: Flag, acts: list[str]) -> None:
        """What follows from the change: the flag's own rules, its version, what experiments keep of it, the log."""
        flag = self.flag_of(experiment)
        act = acts[0] if acts else None
        if flag != flag_before:
            self._check_flag(flag, flag_before, changed_by=experiment)
            flag.version += 1
            self.written.append(Entry("FeatureFlag", flag.id, "updated", act))
            if flag.variants != flag_before.variants:
                for other in self.on_flag(flag):
                    other.kept = flag.variants
        if experiment != before:
            activity = "reset" if "reset" in acts else "updated"
            if experiment.deleted != before.deleted:
                activity = "deleted" if experiment.deleted else "restored"
            self.written.append(Entry("Experiment", experiment.id, activity, act))

    def _check_flag(self, flag: Flag, before: Flag, *, changed_by: Experiment) -> None:
        lost = [key for key in keys(before.variants) if key not in keys(flag.variants)]
        running = [
            other
            for other in self.on_flag(flag)
            if other is not changed_by and not other.deleted and self.status(other) in ("running", "paused")
        ]
        if lost and running:
            named = ", ".join(f'"{other.name}" (ID: {other.id})' for other in running)
            raise Refused(
                f"Cannot remove variant(s) {', '.join(map(repr, lost))} from a feature flag that is linked to running "
                f"experiment(s): {named}. Please stop the experiment(s) before removing variants."
            )
        self._refuse_if(flag.active and not before.active and flag.archived, FLAG_ARCHIVED)

    # --- Flags and holdouts --------------------------------------------------------------------------------------

    def flag_act(self, flag_id: int, act: str) -> None:
        """enable, disable, archive, unarchive, delete or restore a flag itself."""
        flag = self.flags[flag_id]
        before = deepcopy(flag)
        if act == "delete":
            users = [user.id for user in self.on_flag(flag) if not user.deleted and self.status(user) != "stopped"]
            if not flag.deleted and users:
                raise Refused(
                    "Cannot delete a feature flag that is linked to active experiment(s) with ID(s): "
                    f"{', '.join(map(str, users))}. Please delete the experiment(s) before deleting the flag."
                )
            flag.deleted = True
        elif act == "restore":
            if flag.deleted:
                flag.key = self._free_key(flag.key)
            flag.deleted = False
        else:
            doing = {"enable": "enabling", "disable": "disabling", "archive": "archiving", "unarchive": "unarchiving"}
            self._refuse_if(flag.deleted, f"This feature flag has been deleted. Restore it before {doing[act]} it.")
            self._refuse_if(act == "enable" and flag.archived, FLAG_ARCHIVED)
            flag.active = act == "enable" if act in ("enable", "disable") else flag.active and act != "archive"
            flag.archived = act == "archive" if act.endswith("archive") else flag.archived
        if flag != before:
            flag.version += 1
            activity = {"delete": "deleted", "restore": "restored"}.get(act, "updated")
            self.written.append(Entry("FeatureFlag", flag.id, activity))

    def hold_out(self, holdout: int, percentage: int) -> None:
        if self.holdouts[holdout] == percentage:
            return
        self.holdouts[holdout] = percentage
        self.written.append(Entry("ExperimentHoldout", holdout, "updated"))
        reached = {experiment.flag_id for experiment in self.experiments.values() if experiment.holdout == holdout}
        for flag_id in reached:
            flag = self.flags[flag_id]
            if not flag.deleted and flag.filters.get("holdout") != self.part(holdout):
                flag.filters["holdout"] = self.part(holdout)
                flag.version += 1
                self.written.append(Entry("FeatureFlag", flag_id, "updated"))

    def _free_key(self, key: str) -> str:
        candidate, number = key, 1
        while self.live_flag(candidate) is not None:
            number += 1
            candidate = f"{key}-{number}"
        return candidate

    # -------------------------------------------------------------------------------------------------------------

    def _found(self, experiment_id: int, *, restoring: bool = False) -> Experiment:
        experiment = self.experiments[experiment_id]
        if experiment.deleted and not restoring:
            raise Refused("Not found.", status=404)
        return experiment

    @staticmethod
    def _refuse_if(condition: bool, detail: str) -> None:
        if condition:
            raise Refused(detail)

    @staticmethod
    def _check_order(start: datetime | None, end: datetime | None) -> None:
        if start is not None and end is not None and start >= end:
            raise Refused(DATE_ORDER)

"""The requests of the state machine: each goes to the service and to the model, and the two must agree."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import QuerySet
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from rest_framework.test import APIClient

from activity.models import ActivityEntry
from common.datetimes import format_datetime
from experiments.models import Experiment as Row
from feature_flags.models import FeatureFlag
from projects import services
from projects.models import Organization
from tests.experiments.lifecycle.conftest import Clock, Experiments
from tests.experiments.lifecycle.model import Entry, Experiment, Model, Refused, Variants

ACTS = ("launch", "pause", "resume", "end", "ship_variant", "archive", "unarchive", "reset")
FLAG_ACTS = ("enable", "disable", "archive", "unarchive", "delete", "restore")
KEYS = ("cart", "page")
MOST_EXPERIMENTS = 6
# The names of the fields of a PATCH in the model.
DATES = {"start": "start_date", "end": "end_date"}
SAME = {"name": "name", "archived": "archived", "deleted": "deleted", "conclusion": "conclusion"}
FIELDS = {**DATES, **SAME, "comment": "conclusion_comment", "switch": "update_feature_flag_params"}


def split(*shares: int) -> Variants:
    return [
        {"key": key, "rollout_percentage": share}
        for key, share in zip(("control", "test", "third"), shares, strict=False)
    ]


# Which experiment or flag: an index into those there are, counted round.
picks = st.integers(0, MOST_EXPERIMENTS - 1)
# Hours from now; the clock moves on by one with every request.
offsets = st.one_of(st.none(), st.integers(-4, 4))
variants = st.sampled_from([split(50, 50), split(20, 80), split(10, 20, 70)])
verdicts = st.sampled_from([None, "won", "lost"])
comments = st.sampled_from([None, "", "Clearly."])
# What ship_variant is sent; end gets what is left without the first two, the other acts nothing.
act_bodies = st.fixed_dictionaries(
    {"variant_key": st.sampled_from(["test", "control", "third"]), "release_to_everyone": st.booleans()},
    optional={"conclusion": verdicts, "conclusion_comment": comments},
)
changes = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["Cart", "Page"]),
        "start": offsets,
        "end": offsets,
        "archived": st.booleans(),
        "conclusion": verdicts,
        "comment": comments,
        "variants": variants,
        "switch": st.booleans(),
        "holdout": st.sampled_from([None, 0]),
    },
)


Request = Callable[[Model], None]


@dataclass(frozen=True, kw_only=True)
class About:
    """What a request is for those who would have to approve it.

    act: its name. patched: the experiment whose fields it changes. done: whether all is as it would leave it, where
    the request itself does not tell.
    """

    act: str
    patched: int | None = None
    done: Callable[[Model], bool] | None = None


class Lifecycle(RuleBasedStateMachine):
    """One project with a few experiments on fewer flags; every example is undone when it ends."""

    clock: ClassVar[Clock]
    organization: ClassVar[Organization]
    api: ClassVar[APIClient]
    outsider_api: ClassVar[APIClient]
    elsewhere: ClassVar[tuple[int, int]]
    """The ids of another project of the caller's and of one of somebody else's."""
    steps: ClassVar[Counter[str]]
    outcomes: ClassVar[Counter[tuple[str, str]]]

    def __init__(self) -> None:
        super().__init__()
        self.undone = transaction.atomic()
        self.undone.__enter__()
        project, _ = services.create_project(organization=self.organization, name="Shop")
        self.experiments = Experiments(self.api, project)
        body = {"name": "Untouched", "filters": [{"rollout_percentage": 5}]}
        holdout = self.api.post(f"{self.experiments.base}/experiment_holdouts/", body).json()["id"]
        self.holdout: int = holdout
        self.model = Model(now=self.clock.now, holdouts={holdout: 5})
        self.logged = self._log_size()

    def teardown(self) -> None:
        for experiment in list(self.model.experiments.values()):
            if not experiment.deleted:
                self._send_back(experiment)
        transaction.set_rollback(True)
        self.undone.__exit__(None, None, None)

    # --- The requests --------------------------------------------------------------------------------------------

    @initialize(launched=st.booleans(), key=st.sampled_from(KEYS), start=offsets, end=offsets, held_out=st.booleans())
    def begin(self, launched: bool, key: str, start: int | None, end: int | None, held_out: bool) -> None:
        """There are two at least, often on one flag."""
        plain: dict[str, Any] = {"name": "Cart", "archived": False, "variants": None}
        self.create(key="cart", start=0 if launched else None, end=None, held_out=held_out, **plain)
        self.create(key=key, start=start, end=end, held_out=held_out, **plain)

    @precondition(lambda self: len(self.model.experiments) < MOST_EXPERIMENTS)
    @rule(
        name=st.sampled_from(["Cart", "Page"]),
        key=st.sampled_from(KEYS),
        start=offsets,
        end=offsets,
        archived=st.sampled_from([False, False, True]),
        variants=st.one_of(st.none(), variants),
        held_out=st.booleans(),
    )
    def create(
        self,
        name: str,
        key: str,
        start: int | None,
        end: int | None,
        archived: bool,
        variants: Variants | None,
        held_out: bool,
    ) -> None:
        self._tick()
        fields: dict[str, Any] = {"start": self._at(start), "end": self._at(end)}
        holdout = self.holdout if held_out else None
        body = {"name": name, "feature_flag_key": key, "archived": archived, "holdout_id": holdout}
        body |= {DATES[name]: _text(value) for name, value in fields.items()}
        if variants is not None:
            body["parameters"] = {"feature_flag_variants": variants}
        answer = self.experiments.post(**body)
        self._judge(
            "create",
            answer,
            lambda model: model.create(
                name=name, key=key, archived=archived, variants=variants, holdout=holdout, **fields
            ),
        )

    @rule(pick=picks, choices=st.lists(st.integers(0, len(ACTS) - 1), min_size=1, max_size=4), sent=act_bodies)
    def go_on(self, pick: int, choices: list[int], sent: dict[str, Any]) -> None:
        """A few of the acts that are possible: most of the others would be refused."""
        experiment = self._experiment(pick)
        for choice in choices:
            possible = [name for name in ACTS if self._is_possible(experiment.id, name, sent)]
            if possible:
                self._act(experiment.id, possible[choice % len(possible)], sent)

    @rule(pick=picks, name=st.sampled_from(ACTS), sent=act_bodies)
    def act(self, pick: int, name: str, sent: dict[str, Any]) -> None:
        self._act(self._experiment(pick).id, name, sent)

    @rule(pick=picks, bodies=st.lists(changes, min_size=1, max_size=3))
    def patch(self, pick: int, bodies: list[dict[str, Any]]) -> None:
        experiment = self._experiment(pick)
        for body in bodies:
            self._tick()
            sent = body | {name: self._at(body[name]) for name in DATES.keys() & body.keys()}
            if sent.get("holdout") is not None:
                sent["holdout"] = self.holdout
            self._patch("patch", experiment.id, sent)

    @rule(pick=picks, deleted=st.booleans(), sent=st.fixed_dictionaries({}, optional={"name": st.just("Back")}))
    def delete_or_restore(self, pick: int, deleted: bool, sent: dict[str, Any]) -> None:
        self._tick()
        self._patch("delete" if deleted else "restore", self._experiment(pick).id, {**sent, "deleted": deleted})

    @precondition(lambda self: len(self.model.experiments) < MOST_EXPERIMENTS)
    @rule(pick=picks, key=st.sampled_from([None, *KEYS, "copy"]))
    def duplicate(self, pick: int, key: str | None) -> None:
        self._tick()
        experiment = self._experiment(pick)
        answer = self.experiments.act(experiment.id, "duplicate", feature_flag_key=key)
        self._judge("duplicate", answer, lambda model: model.duplicate(experiment.id, key=key))

    @rule(pick=picks, act=st.sampled_from([*FLAG_ACTS, "hold out"]))
    def flag(self, pick: int, act: str) -> None:
        self._tick()
        flags = list(self.model.flags.values())
        flag = flags[pick % len(flags)]
        url = self.experiments.flag_url(flag.id)
        if act == "hold out":
            self._hold_out(4 + pick % 3)
            return
        if act in {"delete", "restore"}:
            answer = self.api.patch(url, {"deleted": act == "delete"})
        else:
            answer = self.api.post(f"{url}{act}/")
        about = About(act="disable" if act == "archive" else act)
        self._judge(f"flag {act}", answer, lambda model: model.flag_act(flag.id, act), about)

    @rule(pick=picks)
    def send_back(self, pick: int) -> None:
        """What was read changes nothing, whatever the flag says by now."""
        self._tick()
        experiment = self._experiment(pick)
        if not experiment.deleted:
            self._send_back(experiment)

    @rule(pick=picks, act=st.sampled_from([*ACTS, "duplicate"]))
    def reach_from_another_project(self, pick: int, act: str) -> None:
        self._tick()
        experiment = self._experiment(pick)
        for client, project in zip((self.api, self.outsider_api), self.elsewhere, strict=True):
            url = f"/api/projects/{project}/experiments/{experiment.id}/"
            assert client.get(url).status_code == 404
            assert client.patch(url, {"deleted": False, "name": "Mine"}).status_code == 404
            assert client.post(f"{url}{act}/", {"variant_key": "test"}).status_code == 404
            assert client.get(f"/api/projects/{project}/experiments/").json()["count"] == 0

    # --- What must hold after each of them -----------------------------------------------------------------------

    @invariant()
    def experiments_are_as_the_model_says(self) -> None:
        shown = self.experiments.client.get(f"{self.experiments.base}/experiments/").json()["results"]
        archived = self.experiments.client.get(f"{self.experiments.base}/experiments/?archived=true").json()["results"]
        assert {one["id"]: _essence(one) for one in (*shown, *archived)} == {
            experiment.id: self._expected(experiment)
            for experiment in self.model.experiments.values()
            if not experiment.deleted
        }

    @invariant()
    def stored_status_agrees_with_the_dates_also_of_deleted_ones(self) -> None:
        stored = Row.objects.filter(project=self.experiments.project).values_list("pk", "status", "deleted")
        assert set(stored) == {
            (experiment.id, self.model.status(experiment).replace("paused", "running"), experiment.deleted)
            for experiment in self.model.experiments.values()
        }

    @invariant()
    def flags_are_as_the_model_says_and_versions_count_their_changes(self) -> None:
        stored = FeatureFlag.objects.filter(project=self.experiments.project)
        assert {
            flag.pk: (flag.key, flag.active, flag.archived, flag.deleted, flag.version, flag.filters) for flag in stored
        } == {
            flag.id: (flag.shown_key, flag.active, flag.archived, flag.deleted, flag.version, flag.filters)
            for flag in self.model.flags.values()
        }

    # -------------------------------------------------------------------------------------------------------------

    def _act(self, experiment_id: int, name: str, sent: dict[str, Any]) -> None:
        self._tick()
        arguments = _arguments(name, sent)
        answer = self.experiments.act(experiment_id, name, **arguments)
        about = About(act=name, done=lambda model: model.is_done(experiment_id, name, **arguments))
        self._judge(name, answer, lambda model: model.act(experiment_id, name, **arguments), about)

    def _is_possible(self, experiment_id: int, name: str, sent: dict[str, Any]) -> bool:
        arguments = _arguments(name, sent)
        return refusal(lambda model: model.act(experiment_id, name, **arguments), self.model.trial()) is None

    def _hold_out(self, percentage: int) -> None:
        url = f"{self.experiments.base}/experiment_holdouts/{self.holdout}/"
        answer = self.api.patch(url, {"filters": [{"rollout_percentage": percentage}]})
        about = About(act="holdout_update")
        self._judge("hold out", answer, lambda model: model.hold_out(self.holdout, percentage), about)

    def _patch(self, name: str, experiment_id: int, sent: dict[str, Any]) -> None:
        body = {FIELDS[field]: sent[field] for field in sent.keys() & FIELDS.keys()}
        body |= {DATES[field]: _text(sent[field]) for field in DATES.keys() & sent.keys()}
        if "variants" in sent:
            body["parameters"] = {"feature_flag_variants": sent["variants"]}
        if "holdout" in sent:
            body["holdout_id"] = sent["holdout"]
        answer = self.experiments.patch(experiment_id, body)
        about = About(act="update", patched=experiment_id)
        self._judge(name, answer, lambda model: model.patch(experiment_id, sent), about)

    def _send_back(self, experiment: Experiment) -> None:
        before = self.experiments.get(experiment.id)
        version = self.model.flag_of(experiment).version
        answer = self.experiments.patch(experiment.id, before.json(), if_match=before["ETag"])
        assert (answer.status_code, answer.content) == (200, before.content)
        assert answer.json()["feature_flag"]["version"] == version
        assert self._log_size() == self.logged
        self.steps["send back"] += 1
        self.outcomes["send back", "changed nothing"] += 1

    def _judge(self, name: str, answer: Any, request: Request, about: About | None = None) -> None:
        """Compare an answer, and what it has left in the log, with what the model makes of the same request."""
        trial = self.model.trial()
        trial.ids = _ids(answer)
        refused = refusal(request, trial)
        if refused is not None:
            assert (answer.status_code, answer.json()["detail"]) == (refused.status, refused.detail)
            self.outcomes[name, "refused"] += 1
        elif self._is_held_back(answer, trial, request, about or About(act=name)):
            self.outcomes[name, "held back"] += 1
        else:
            assert answer.status_code in {200, 201}, answer.content
            assert self._new_entries() == sorted(trial.written, key=repr)
            self.outcomes[name, "changed something" if trial.written else "changed nothing"] += 1
            self.model = trial
        self.steps[name] += 1
        self.logged = self._log_size() if answer.status_code < 300 else self.logged
        assert self._log_size() == self.logged

    def _is_held_back(self, answer: Any, trial: Model, request: Request, about: About) -> bool:
        """Whether the change, which is possible, has to wait for approval."""
        return False

    def _new_entries(self) -> list[Entry]:
        entries = []
        for row in self._log().order_by("created_at")[self.logged :]:
            trigger = row.detail["trigger"]
            act = trigger["payload"]["action"] if trigger else None
            entries.append(Entry(row.scope, int(row.item_id), row.activity, act))
        return sorted(entries, key=repr)

    def _log(self) -> QuerySet[ActivityEntry]:
        """What has been written of experiments and flags."""
        return ActivityEntry.objects.filter(project=self.experiments.project).exclude(scope="ChangeRequest")

    def _log_size(self) -> int:
        return self._log().count()

    def _tick(self) -> None:
        self.clock.now += timedelta(hours=1)
        self.model.now = self.clock.now

    def _at(self, offset: int | None) -> datetime | None:
        return None if offset is None else self.clock.now + timedelta(hours=offset)

    def _experiment(self, pick: int) -> Experiment:
        listed = list(self.model.experiments.values())
        return listed[pick % len(listed)]

    def _expected(self, experiment: Experiment) -> dict[str, Any]:
        flag = self.model.flag_of(experiment)
        kept = experiment.kept or flag.variants
        return {
            "name": experiment.name,
            "status": self.model.status(experiment),
            "start_date": _text(experiment.start),
            "end_date": _text(experiment.end),
            "archived": experiment.archived,
            "conclusion": experiment.conclusion,
            "conclusion_comment": experiment.comment,
            "holdout_id": experiment.holdout,
            "feature_flag_key": flag.key,
            "parameters": {
                "feature_flag_variants": [{**one, "split_percent": one["rollout_percentage"]} for one in kept]
            },
            "feature_flag": (flag.id, flag.active, flag.deleted, flag.version, flag.filters),
        }


def _essence(shown: dict[str, Any]) -> dict[str, Any]:
    names = ("name", "status", "start_date", "end_date", "archived", "conclusion", "conclusion_comment", "holdout_id")
    flag = shown["feature_flag"]
    return {name: shown[name] for name in (*names, "feature_flag_key", "parameters")} | {
        "feature_flag": tuple(flag[name] for name in ("id", "active", "deleted", "version", "filters"))
    }


def _arguments(act: str, sent: dict[str, Any]) -> dict[str, Any]:
    if act == "ship_variant":
        return sent
    concluding = ("conclusion", "conclusion_comment")
    return {name: sent[name] for name in concluding if name in sent} if act == "end" else {}


def refusal(request: Request, model: Model) -> Refused | None:
    try:
        request(model)
    except Refused as refused:
        return refused
    return None


def _ids(answer: Any) -> tuple[int, int]:
    """The ids of a new experiment and of its flag; any where none was made."""
    made = answer.json() if answer.status_code < 300 else {}
    return (made["id"], made["feature_flag"]["id"]) if isinstance(made.get("feature_flag"), dict) else (0, 0)


def _text(value: datetime | None) -> str | None:
    return None if value is None else format_datetime(value)

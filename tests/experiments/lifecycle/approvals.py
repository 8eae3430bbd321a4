"""The state machine with policies that come and go, and with people who approve, reject and take back."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from rest_framework.test import APIClient

from activity.models import ActivityEntry
from approvals.models import ApprovalPolicy, ChangeRequest
from experiments.models import Experiment as Row
from projects.models import User
from tests.experiments.lifecycle.machine import (
    About,
    Lifecycle,
    Request,
    act_bodies,
    changes,
    picks,
    refusal,
)
from tests.experiments.lifecycle.model import Flag, Model

WAIT = timedelta(hours=12)
GATED = ("launch", "pause", "resume", "ship_variant")
ONLY_PENDING = "Only pending change requests can be approved"


@dataclass
class Asked:
    """A change request as the model knows it; `family` and `subject` tell it from others, `seen` is what it was
    decided on."""

    id: str
    family: str
    subject: str
    request: Request
    about: About
    expires: datetime
    seen: Any
    takes_holdout: bool
    state: str = "pending"


def tripped(before: Model, after: Model) -> list[tuple[str, str]]:
    """The families of changes that need approval in what makes `after` of `before`, each with what it is about."""
    if before.holdouts != after.holdouts:
        changed = next(one for one, percentage in after.holdouts.items() if before.holdouts[one] != percentage)
        return [("holdout_update", f"holdout {changed}")]
    found = []
    for flag in after.flags.values():
        old = before.flags.get(flag.id)
        subject = f"key {flag.key}" if old is None else f"flag {flag.id}"
        if flag.active and not (old and old.active):
            found.append(("enable", subject))
        if old and old.active and not flag.active:
            found.append(("disable", subject))
        if old and rollouts(old) != rollouts(flag):
            found.append(("update", subject))
    return found


def rollouts(flag: Flag) -> tuple[Any, ...]:
    """The percentages of a flag: of its groups and variants by their places, and of its holdout."""
    holdout = flag.filters.get("holdout")
    return (
        [group["rollout_percentage"] for group in flag.filters["groups"]],
        [variant["rollout_percentage"] for variant in flag.variants],
        holdout and holdout["exclusion_percentage"],
    )


def _share_changes(before: Model, after: Model) -> bool:
    """Whether a flag gets a holdout, or the share of another one."""
    pairs = ((rollouts(before.flags[flag.id])[-1], rollouts(flag)[-1]) for flag in after.flags.values())
    return any(new is not None and old != new for old, new in pairs)


class LifecycleWithApprovals(Lifecycle):
    """What needs approval changes nothing until it is there, and then everything, unless something has moved."""

    approver: ClassVar[User]
    approver_api: ClassVar[APIClient]

    def __init__(self) -> None:
        super().__init__()
        project = self.experiments.project
        for key in ("enable", "disable", "update"):
            ApprovalPolicy.objects.create(
                organization=self.organization,
                project=project,
                action_key=f"feature_flag.{key}",
                approver_config={"quorum": 1, "users": [self.approver.pk], "roles": []},
                expires_after=WAIT,
                enabled=False,
            )
        self.in_force = False
        self.asked: list[Asked] = []

    @rule(in_force=st.sampled_from([True, True, False]))
    def switch_policies(self, in_force: bool) -> None:
        ApprovalPolicy.objects.filter(project=self.experiments.project).update(enabled=in_force)
        self.in_force = in_force

    @rule(
        pick=picks,
        choice=picks,
        sent=act_bodies,
        body=changes,
        vote=st.sampled_from(["approve", "approve", "approve", "reject", "cancel"]),
    )
    def ask_and_decide(self, pick: int, choice: int, sent: dict[str, Any], body: dict[str, Any], vote: str) -> None:
        """Something that is possible and needs approval, and at once the vote: most would come too late else."""
        self.switch_policies(True)
        experiment = self._experiment(pick)
        possible = [name for name in GATED if self._is_possible(experiment.id, name, sent)]
        if possible and choice < 4:
            self._act(experiment.id, possible[choice % len(possible)], sent)
        elif choice == 4:
            self.patch(pick, [body])
        else:
            self._tick()
            self._hold_out(4 + pick % 3)
        if self.asked:
            getattr(self, vote)(0)

    @precondition(lambda self: self.asked)
    @rule(pick=picks)
    def approve(self, pick: int) -> None:
        asked = self._newest(pick)
        is_open, seen = self._open(asked), self._seen(asked.subject, asked.about, takes_holdout=asked.takes_holdout)
        answer = self._vote(self.approver_api, asked, "approve")
        if not is_open:
            self._refused(answer, "approve", ONLY_PENDING)
            return
        asked.state, why, trial = self._outcome(asked, moved=seen != asked.seen)
        shown = answer.json()
        assert (answer.status_code, shown["status"]) == (200, asked.state), shown
        assert shown["change_request"]["apply_error"].startswith(why)
        assert bool(shown["change_request"]["apply_error"]) == bool(why)
        assert self._new_entries() == sorted(trial.written, key=repr)
        self.model, self.logged = trial, self._log_size()
        self.steps["approve"] += 1
        self.outcomes["approve", f"{asked.about.act} {asked.state}"] += 1

    @precondition(lambda self: self.asked)
    @rule(pick=picks)
    def reject(self, pick: int) -> None:
        asked = self._newest(pick)
        is_open = self._open(asked)
        answer = self._vote(self.approver_api, asked, "reject")
        self._closed(asked, answer, "reject", is_open=is_open, refusal=ONLY_PENDING)

    @precondition(lambda self: self.asked)
    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        asked = self._newest(pick)
        is_open = self._open(asked)
        answer = self._vote(self.api, asked, "cancel")
        self._closed(asked, answer, "cancel", is_open=is_open, refusal="You cannot cancel this change request")

    @invariant()
    def requests_are_as_the_model_says(self) -> None:
        stored = ChangeRequest.objects.filter(project=self.experiments.project)
        assert {str(one.pk): one.state_at(self.clock.now) for one in stored} == {
            asked.id: "expired" if asked.state == "pending" and not self._open(asked) else asked.state
            for asked in self.asked
        }
        log = ActivityEntry.objects.filter(project=self.experiments.project, scope="ChangeRequest")
        assert log.filter(activity="created").count() == len(self.asked)

    # -------------------------------------------------------------------------------------------------------------

    def _is_held_back(self, answer: Any, trial: Model, request: Request, about: About) -> bool:
        found = tripped(self.model, trial) if self.in_force else []
        if not found:
            return False
        if len(found) > 1:
            assert (answer.status_code, answer.json()["code"]) == (400, "policy_conflict")
            return True
        ((family, subject),) = found
        pending = [one for one in self.asked if (one.family, one.subject) == (family, subject) and self._open(one)]
        code = "change_request_pending" if pending else "approval_required"
        assert (answer.status_code, answer.json()["code"]) == (409, code), answer.json()
        made = answer.json()["change_request"]
        if pending:
            assert [one.id for one in pending] == [made["id"]]
        else:
            takes = family == "update" and about.patched is not None and _share_changes(self.model, trial)
            seen = self._seen(subject, about, takes_holdout=takes)
            self.asked.append(Asked(made["id"], family, subject, request, about, self.clock.now + WAIT, seen, takes))
        return True

    def _seen(self, subject: str, about: About, *, takes_holdout: bool) -> Any:
        """What must not have moved when the change is made at last."""
        kind, name = subject.split(" ")
        if kind == "key":
            return None
        if kind == "holdout":
            users = [one.id for one in self.model.experiments.values() if one.holdout == int(name) and not one.deleted]
            return self.model.holdouts[int(name)], users
        written = Row.objects.filter(pk=about.patched or 0).values_list("updated_at", flat=True).first()
        share = self.model.holdouts[self.holdout] if takes_holdout else None
        return self.model.flags[int(name)].version, written, share

    def _outcome(self, asked: Asked, *, moved: bool) -> tuple[str, str, Model]:
        """The state an approval leads to, why it cannot be applied, and what there is afterwards."""
        unchanged, trial = self.model.trial(), self.model.trial()
        newest = Row.objects.filter(project=self.experiments.project).order_by("-pk").first()
        assert newest is not None
        trial.ids = (newest.pk, newest.feature_flag_id)
        refused = refusal(asked.request, trial)
        if refused is not None and refused.status == 404:
            return "failed", "Precondition failed: It no longer exists.", unchanged
        done = asked.about.done is not None and asked.about.done(self.model)
        if done or (refused is None and not trial.written):
            return "applied", "", unchanged
        if moved:
            return "failed", "Precondition failed: ", unchanged
        if refused is not None:
            return "failed", f"Validation failed: {refused.detail}", unchanged
        trial.written = [replace(entry, act=asked.about.act) for entry in trial.written]
        return "applied", "", trial

    def _newest(self, pick: int) -> Asked:
        """One of the last few: the others have long been decided."""
        return self.asked[-1 - pick % min(len(self.asked), 3)]

    def _open(self, asked: Asked) -> bool:
        return asked.state == "pending" and self.clock.now < asked.expires

    def _vote(self, client: APIClient, asked: Asked, vote: str) -> Any:
        return client.post(f"{self.experiments.base}/change_requests/{asked.id}/{vote}/", {"reason": "Because"})

    def _closed(self, asked: Asked, answer: Any, vote: str, *, is_open: bool, refusal: str) -> None:
        if is_open:
            assert (answer.status_code, answer.json()["change_request"]["state"]) == (200, "rejected"), answer.json()
            asked.state = "rejected"
            self.outcomes[vote, "done"] += 1
        else:
            self._refused(answer, vote, refusal)
        assert self._log_size() == self.logged

    def _refused(self, answer: Any, vote: str, refusal: str) -> None:
        assert (answer.status_code, answer.json()["detail"]) == (403, refusal)
        self.outcomes[vote, "refused"] += 1

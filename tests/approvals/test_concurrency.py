"""Votes at the same moment as other votes and writes: what was approved is done once and whole, or not at all.

Each test plays many rounds on real rows and real threads, and many more when it is asked for the slow tests.
"""

from collections import Counter
from typing import Any

import pytest

from activity.models import ActivityEntry
from approvals.models import Approval, ApprovalPolicy, ChangeRequest
from experiments.models import Experiment, ExperimentHoldout
from feature_flags.models import FeatureFlag
from projects import services
from projects.models import Level, Organization, Project, User
from tests.cast import key_for
from tests.together import Caller, Send, Together, details, statuses

pytestmark = pytest.mark.django_db(transaction=True)

MANY = [20, pytest.param(100, marks=pytest.mark.slow)]
MOVED = "Precondition failed: The feature flag was changed since this change was requested."
OVER = {
    "Only pending change requests can be approved",
    "You cannot cancel this change request",
    *(f"This change request can no longer be {done}." for done in ("approved", "rejected", "canceled")),
}
Json = dict[str, Any]


@pytest.fixture
def approvers(project: Project, organization: Organization) -> list[Caller]:
    """Two members whom the policy names."""
    users = [
        services.create_user(email=f"{name}@example.com", password=None, level=Level.MEMBER, organization=organization)
        for name in ("ann", "sam")
    ]
    return [Caller(project, key_for(user)) for user in users]


class Draft:
    """An experiment that is a draft again at the beginning of each round, and the request to launch it."""

    def __init__(self, caller: Caller, policy: ApprovalPolicy) -> None:
        self.caller, self.policy = caller, policy
        made = caller.experiment()
        self.path = f"experiments/{made['id']}/"
        self.flag_path = f"feature_flags/{made['feature_flag']['id']}/"
        self.filters = FeatureFlag.objects.get().filters

    def asked(self) -> str:
        """The path of a new request to launch."""
        ActivityEntry.objects.all().delete()
        Approval.objects.all().delete()
        ChangeRequest.objects.all().delete()
        Experiment.objects.update(start_date=None, status="draft", name="Cart")
        FeatureFlag.objects.update(active=False, version=1, name="", filters=self.filters)
        answer = self.caller.send("POST", f"{self.path}launch/")
        assert answer.status_code == 409, answer.content
        return f"change_requests/{answer.json()['change_request_id']}/"

    @property
    def outcome(self) -> tuple[str, bool, bool]:
        """The state of the request, whether the experiment has been launched, and whether its flag is on."""
        experiment = Experiment.objects.get()
        return ChangeRequest.objects.get().state, experiment.start_date is not None, FeatureFlag.objects.get().active


@pytest.fixture
def policy(organization: Organization, project: Project, approvers: list[Caller]) -> ApprovalPolicy:
    users = User.objects.filter(email__in=["ann@example.com", "sam@example.com"]).values_list("pk", flat=True)
    return ApprovalPolicy.objects.create(
        organization=organization,
        project=project,
        action_key="experiment.launch",
        approver_config={"quorum": 1, "users": list(users), "roles": []},
        bypass_org_membership_levels=[Level.OWNER],
    )


@pytest.fixture
def draft(caller: Caller, policy: ApprovalPolicy) -> Draft:
    return Draft(caller, policy)


APPLIED = ("applied", True, True)


@pytest.mark.parametrize("rounds", MANY)
def test_approve__twice_at_once_where_one_suffices__applies_once(
    draft: Draft, approvers: list[Caller], together: Together, rounds: int
) -> None:
    for number in range(rounds):
        path = draft.asked()
        answers = together(*(voting(approver, path, "approve") for approver in approvers))
        assert sorted(statuses(answers)) in ([200, 400], [200, 403]), number
        assert details(answers) <= OVER
        assert draft.outcome == APPLIED
        assert Approval.objects.count() == 1
        assert FeatureFlag.objects.get().version == 2
        assert written() == {"ChangeRequest": 2, "Experiment": 1, "FeatureFlag": 1}


@pytest.mark.parametrize("rounds", MANY)
def test_approve__twice_at_once_where_two_are_needed__the_later_one_applies(
    draft: Draft, approvers: list[Caller], together: Together, rounds: int
) -> None:
    draft.policy.approver_config["quorum"] = 2
    draft.policy.save()
    for number in range(rounds):
        path = draft.asked()
        answers = together(*(voting(approver, path, "approve") for approver in approvers))
        assert sorted(answer.json()["status"] for answer in answers) == ["applied", "approved"], number
        assert draft.outcome == APPLIED
        assert Approval.objects.count() == 2
        assert FeatureFlag.objects.get().version == 2
        assert written() == {"ChangeRequest": 3, "Experiment": 1, "FeatureFlag": 1}


@pytest.mark.parametrize("rounds", MANY)
def test_approve__twice_at_once_by_one_user__counts_once(
    draft: Draft, approvers: list[Caller], together: Together, rounds: int
) -> None:
    draft.policy.approver_config["quorum"] = 2
    draft.policy.save()
    for number in range(rounds):
        path = draft.asked()
        answers = together(voting(approvers[0], path, "approve"), voting(approvers[0], path, "approve"))
        assert sorted(statuses(answers)) == [200, 400], number
        assert details(answers) == {"You have already voted on this change request."}
        assert draft.outcome == ("pending", False, False)
        assert Approval.objects.count() == 1


@pytest.mark.parametrize("against", ["cancel", "reject"])
@pytest.mark.parametrize("rounds", MANY)
def test_approve__while_it_is_withdrawn_or_rejected__one_of_them_wins(
    draft: Draft, approvers: list[Caller], together: Together, against: str, rounds: int
) -> None:
    other = draft.caller if against == "cancel" else approvers[1]
    for number in range(rounds):
        path = draft.asked()
        approve, against_it = together(voting(approvers[0], path, "approve"), voting(other, path, against))
        assert sorted(statuses([approve, against_it])) in ([200, 400], [200, 403]), number
        assert details([approve, against_it]) <= OVER
        won = approve.status_code == 200
        assert draft.outcome == (APPLIED if won else ("rejected", False, False))
        assert Approval.objects.get().decision == ("approved" if won else "rejected")
        assert FeatureFlag.objects.get().version == (2 if won else 1)


@pytest.mark.parametrize("rounds", MANY)
def test_approve__while_the_flag_is_edited__applies_before_or_fails_and_loses_no_edit(
    draft: Draft, approvers: list[Caller], together: Together, rounds: int
) -> None:
    outcomes: Counter[str] = Counter()
    for number in range(rounds):
        path = draft.asked()
        edit = {"name": f"Edit {number}", "filters": {"payloads": {"test": str(number)}}}
        approve, edited = together(
            voting(approvers[0], path, "approve"),
            lambda edit=edit: draft.caller.send("PATCH", draft.flag_path, edit),
        )
        assert (approve.status_code, edited.status_code) == (200, 200), number
        flag = FeatureFlag.objects.get()
        assert (flag.name, flag.filters["payloads"]) == (f"Edit {number}", {"test": str(number)})
        came_to = approve.json()["status"]
        if came_to == "applied":
            assert (draft.outcome, flag.version) == (APPLIED, 3)
        else:
            assert approve.json()["change_request"]["apply_error"] == MOVED
            assert (came_to, draft.outcome, flag.version) == ("failed", ("failed", False, False), 2)
        outcomes[came_to] += 1
    assert outcomes["applied"] + outcomes["failed"] == rounds


@pytest.mark.parametrize("rounds", MANY)
def test_launch__asked_for_twice_at_once__one_request(draft: Draft, together: Together, rounds: int) -> None:
    for number in range(rounds):
        draft.asked()
        ChangeRequest.objects.all().delete()
        answers = together(*[lambda: draft.caller.send("POST", f"{draft.path}launch/")] * 2)
        assert statuses(answers) == (409, 409), number
        assert sorted(answer.json()["code"] for answer in answers) == ["approval_required", "change_request_pending"]
        assert {answer.json()["change_request_id"] for answer in answers} == {str(ChangeRequest.objects.get().pk)}
        assert not FeatureFlag.objects.get().active


@pytest.mark.parametrize("rounds", MANY)
def test_approved_holdout__while_the_holdout_changes__no_deadlock_and_one_share_everywhere(
    draft: Draft, approvers: list[Caller], owner: User, together: Together, project: Project, rounds: int
) -> None:
    """Both go by the holdout, its experiments and their flags, in this order."""
    draft.policy.action_key = "experiment.update"
    draft.policy.save()
    owned = Caller(project, key_for(owner))  # need not ask
    holdout = owned.made("experiment_holdouts/", {"name": "All", "filters": [{"rollout_percentage": 1}]})
    for number in range(rounds):
        ChangeRequest.objects.all().delete()
        Experiment.objects.update(holdout=None)
        FeatureFlag.objects.update(version=1, filters=draft.filters)
        held_back = draft.caller.send("PATCH", draft.path, {"holdout_id": holdout["id"]})
        assert held_back.status_code == 409, held_back.content
        path, share = f"change_requests/{held_back.json()['change_request_id']}/", 2 + number % 2
        approve, changed = together(
            voting(approvers[0], path, "approve"),
            lambda share=share: owned.send(
                "PATCH", f"experiment_holdouts/{holdout['id']}/", {"filters": [{"rollout_percentage": share}]}
            ),
        )
        assert (approve.status_code, changed.status_code) == (200, 200), number
        assert ExperimentHoldout.objects.get().exclusion_percentage == share
        part = FeatureFlag.objects.get().filters.get("holdout")
        if approve.json()["status"] == "applied":
            assert part == {"id": holdout["id"], "exclusion_percentage": share}
        else:
            assert approve.json()["change_request"]["apply_error"].startswith("Precondition failed: ")
            assert part is None


def voting(caller: Caller, path: str, vote: str) -> Send:
    return lambda: caller.send("POST", f"{path}{vote}/", {"reason": "Because"})


def written() -> dict[str, int]:
    """How many rows of each scope the activity log has got since the request was made, that one included."""
    return dict(Counter(ActivityEntry.objects.values_list("scope", flat=True)))

"""Which policy decides, and who need not ask."""

from datetime import timedelta
from typing import Any

import pytest

from approvals import policies
from approvals.families import ACTION_KEYS, POLICY_KEYS, Family
from approvals.models import ApprovalPolicy, ChangeRequest
from projects import roles
from projects.models import Level, Organization, Project, User
from projects.services import create_project
from tests.approvals.conftest import Flags, MakePolicy, held_back, rollout
from tests.cast import ClientFor

HOLDOUT_CHAIN = ["experiment.update", "feature_flag.update"]


def decider(project: Project, family: Family, *, on_experiment: bool = True) -> ApprovalPolicy | None:
    return policies.deciding(project, [family], on_experiment=lambda: on_experiment).get(family)


@pytest.mark.parametrize(
    ("family", "keys"),
    [
        (Family.ENABLE, ["experiment.launch", "feature_flag.enable"]),
        (Family.DISABLE, ["experiment.pause", "feature_flag.disable"]),
        (Family.UPDATE, ["experiment.update", "feature_flag.update"]),
        (Family.HOLDOUT_UPDATE, ["experiment_holdout.update", *HOLDOUT_CHAIN]),
        (Family.HOLDOUT_DELETE, ["experiment_holdout.delete", *HOLDOUT_CHAIN]),
    ],
)
def test_keys__looked_up_in_their_order(project: Project, policy: MakePolicy, family: Family, keys: list[str]) -> None:
    made = {key: policy(key) for key in ACTION_KEYS}

    for position, key in enumerate(keys):
        assert decider(project, family) == made[key]
        assert list(POLICY_KEYS[family])[position] == key
        made[key].delete()
    assert decider(project, family) is None, "no other key counts"


@pytest.mark.parametrize("family", list(Family))
def test_project_before_organization__key_by_key(project: Project, policy: MakePolicy, family: Family) -> None:
    first, second = POLICY_KEYS[family][:2]
    wide_first = policy(first, organization_wide=True)
    policy(second)

    assert decider(project, family) == wide_first, "an earlier key of the organization beats a later one of the project"
    assert decider(project, family) != policy(first), "fixture"
    assert decider(project, family) == ApprovalPolicy.objects.get(action_key=first, project=project)


def test_disabled_policy__passed_over(project: Project, policy: MakePolicy) -> None:
    policy("experiment.launch", enabled=False)
    wide = policy("experiment.launch", organization_wide=True)

    assert decider(project, Family.ENABLE) == wide
    wide.delete()
    assert decider(project, Family.ENABLE) is None


def test_experiment_keys__not_for_a_flag_that_no_experiment_uses(project: Project, policy: MakePolicy) -> None:
    policy("experiment.update")
    policy("experiment_holdout.update")

    assert decider(project, Family.UPDATE, on_experiment=False) is None
    found = decider(project, Family.HOLDOUT_UPDATE, on_experiment=False)
    assert found is not None
    assert found.action_key == "experiment_holdout.update"


def test_policies_of_others__do_not_count(
    project: Project, organization: Organization, outsider: User, policy: MakePolicy
) -> None:
    sibling, _ = create_project(organization=organization, name="Sibling")
    foreign = outsider.current_organization
    assert foreign is not None
    policy("feature_flag.enable")
    ApprovalPolicy.objects.create(
        organization=foreign, action_key="feature_flag.enable", approver_config={"quorum": 1, "users": [], "roles": []}
    )

    assert decider(sibling, Family.ENABLE) is None


def test_first_found_decides_alone__later_keys_are_not_asked(flags: Flags, policy: MakePolicy) -> None:
    """The project's policy has conditions that are not met: the organization's is not asked in its place."""
    flag = flags.made()
    never = {"type": "before_after", "field": "active", "operator": "==", "value": False}
    policy("feature_flag.enable", conditions=never)
    policy("feature_flag.enable", organization_wide=True)

    assert flags.act(flag, "enable").status_code == 200


@pytest.mark.parametrize(("levels", "bypassed"), [([1], True), ([8, 15], False), ([], False), ([2**70, 1], True)])
def test_bypass__by_level(flags: Flags, policy: MakePolicy, levels: list[int], bypassed: bool) -> None:
    flag = flags.made()
    policy("feature_flag.enable", bypass_org_membership_levels=levels)

    answer = flags.act(flag, "enable")

    assert answer.status_code == (200 if bypassed else 409)


@pytest.mark.parametrize(
    ("who", "levels", "bypassed"),
    [("owner", [15], True), ("owner", [8], False), ("admin", [8], True), ("admin", [15], False)],
)
def test_bypass__each_level_for_itself(
    request: pytest.FixtureRequest,
    project: Project,
    flags: Flags,
    policy: MakePolicy,
    client_for: ClientFor,
    who: str,
    levels: list[Level],
    bypassed: bool,
) -> None:
    flag = flags.made()
    policy("feature_flag.enable", bypass_org_membership_levels=levels)
    own = Flags(client_for(request.getfixturevalue(who)), project)

    assert own.act(flag, "enable").status_code == (200 if bypassed else 409)


def test_bypass__by_role(
    flags: Flags, policy: MakePolicy, organization: Organization, member: User, owner: User
) -> None:
    trusted = roles.create_role(organization=organization, name="Trusted", user=None)
    other = roles.create_role(organization=organization, name="Other", user=None)
    roles.add_to_role(role=other, user_uuid=member.uuid)
    flag = flags.made()
    policy("feature_flag.enable", bypass_roles=[str(trusted.pk)])

    assert flags.act(flag, "enable").status_code == 409
    roles.add_to_role(role=trusted, user_uuid=member.uuid)
    assert flags.act(flag, "enable").status_code == 200


def test_expires_after__sets_the_end(flags: Flags, policy: MakePolicy) -> None:
    flag = flags.made()
    policy("feature_flag.enable", expires_after=timedelta(hours=3))

    held_back(flags.act(flag, "enable"))

    row = ChangeRequest.objects.get()
    assert row.expires_at - row.validated_at == timedelta(hours=3)


def test_families__pending_side_by_side(flags: Flags, policy: MakePolicy) -> None:
    """One request for each family of a resource: another family of it, and another resource, are not in its way."""
    flag, other = flags.made(), flags.made(key="other")
    policy("feature_flag.enable")
    policy("feature_flag.update")

    made: list[Any] = [
        held_back(flags.act(flag, "enable")),
        held_back(flags.patch(flag, filters=rollout(50))),
        held_back(flags.act(other, "enable")),
    ]

    assert len({request["id"] for request in made}) == 3

"""The cast of the flag tests: a project, its owner, and a caller who holds the owner's key."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import pytest
from django.db.models import Exists, OuterRef, Q
from rest_framework.test import APIClient

from experiments.models import Experiment
from feature_flags import usage
from feature_flags.models import FeatureFlag
from projects.keys import hash_key, mask_key, new_personal_key
from projects.models import Level, Organization, OrganizationMembership, PersonalAPIKey, Project, User


@pytest.fixture
def organization(db: None) -> Organization:
    return Organization.objects.create(name="Acme", slug="acme")


@pytest.fixture
def project(organization: Organization) -> Project:
    return Project.objects.create(organization=organization, name="Shop")


@pytest.fixture
def owner(organization: Organization) -> User:
    user = User.objects.create_user("olivia@acme.test", first_name="Olivia")
    OrganizationMembership.objects.create(organization=organization, user=user, level=Level.OWNER)
    return user


def key_of(user: User, *scopes: str) -> str:
    """A new personal key of the user, in clear."""
    value = new_personal_key()
    PersonalAPIKey.objects.create(
        id=value[-12:],
        user=user,
        label="test",
        value_hash=hash_key(value),
        mask_value=mask_key(value),
        scopes=list(scopes) or ["*"],
    )
    return value


class Flags:
    """A caller of the flag routes of one project."""

    def __init__(self, project: Project, key: str) -> None:
        self.base = f"/api/projects/{project.pk}/feature_flags/"
        self.client = APIClient(headers={"authorization": f"Bearer {key}"})

    def url(self, path: object = "") -> str:
        return self.base + (f"{path}/" if path != "" else "")

    def get(self, path: object = "", **query: str) -> Any:
        return self.client.get(self.url(path), query)

    def post(self, path: object = "", body: Any = None) -> Any:
        return self.client.post(self.url(path), {} if body is None else body)

    def patch(self, flag: int | FeatureFlag, body: Any) -> Any:
        return self.client.patch(self.url(flag.pk if isinstance(flag, FeatureFlag) else flag), body)

    def made(self, **fields: Any) -> dict[str, Any]:
        """The answer of a creation that must succeed."""
        answer = self.post(body={"key": "a-flag"} | fields)
        assert answer.status_code == 201, answer.json()
        made: dict[str, Any] = answer.json()
        return made


@pytest.fixture
def flags(project: Project, owner: User) -> Flags:
    return Flags(project, key_of(owner))


GROUPS: list[dict[str, Any]] = [{"properties": [], "rollout_percentage": 100}]
CONTROL_AND_TEST = [{"key": "control", "rollout_percentage": 50}, {"key": "test", "rollout_percentage": 50}]


class ToldUsers:
    """Experiments as users of flags, by rows; what they are told is kept in `told`."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bool]] = []
        self.before_lock: Callable[[], None] = lambda: None

    def linked(self, flag_ids: Collection[int]) -> Mapping[int, list[usage.LinkedExperiment]]:
        by_flag: dict[int, list[usage.LinkedExperiment]] = {}
        for experiment in Experiment.objects.filter(feature_flag_id__in=flag_ids).order_by("pk"):
            by_flag.setdefault(experiment.feature_flag_id, []).append(
                usage.LinkedExperiment(
                    id=experiment.pk,
                    name=experiment.name,
                    status=experiment.status,  # type: ignore[arg-type]
                    deleted=experiment.deleted,
                )
            )
        return by_flag

    def lock(self, flag_ids: Collection[int]) -> None:
        self.before_lock()
        list(Experiment.objects.select_for_update(of=("self",)).filter(feature_flag_id__in=flag_ids).order_by("pk"))

    def configuration_changed(self, flag: FeatureFlag, first_rollout_changed: bool) -> None:
        self.told.append((flag.key, first_rollout_changed))

    def live(self) -> Any:
        return Experiment.objects.filter(feature_flag=OuterRef("pk"), deleted=False)

    def as_users(self) -> usage.FlagUsers:
        return usage.FlagUsers(
            linked=self.linked,
            lock=self.lock,
            configuration_changed=self.configuration_changed,
            named_like=lambda text: Q(Exists(self.live().filter(name__icontains=text))),
            in_use=lambda: Q(Exists(self.live())),
        )


@pytest.fixture
def users_of_flags(monkeypatch: pytest.MonkeyPatch) -> ToldUsers:
    users = ToldUsers()
    monkeypatch.setattr(usage, "_users", users.as_users())
    return users


@pytest.fixture
def experiment_on(project: Project, users_of_flags: ToldUsers) -> Callable[..., Experiment]:
    """Makes an experiment row on a flag, a draft unless dates are given."""

    def make(flag_id: int, name: str = "Blue button", **fields: Any) -> Experiment:
        return Experiment.objects.create(project=project, feature_flag_id=flag_id, name=name, **fields)

    return make

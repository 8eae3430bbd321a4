"""The stage of these tests: a project with policies, and people who ask and people who approve."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from activity.models import ActivityEntry
from approvals.models import ApprovalPolicy
from projects import services
from projects.models import Level, Organization, Project, User
from tests.cast import ClientFor

Json = dict[str, Any]
MakePolicy = Callable[..., ApprovalPolicy]


@pytest.fixture
def second_approver(organization: Organization) -> User:
    return services.create_user(
        email="second@example.com", password=None, level=Level.MEMBER, organization=organization, first_name="Sam"
    )


@pytest.fixture
def approver(organization: Organization) -> User:
    """A plain member whom policies name."""
    return services.create_user(
        email="approver@example.com", password=None, level=Level.MEMBER, organization=organization, first_name="Ann"
    )


@pytest.fixture
def approver_api(project: Project, approver: User, client_for: ClientFor) -> APIClient:
    return client_for(approver)


@pytest.fixture
def policy(project: Project, approver: User) -> MakePolicy:
    """`policy("feature_flag.enable", quorum=2, ...)`: makes a policy of the project, by default with one approver."""

    def make(action_key: str, *, organization_wide: bool = False, **fields: Any) -> ApprovalPolicy:
        config = {
            "quorum": fields.pop("quorum", 1),
            "users": fields.pop("users", [approver.pk]),
            "roles": fields.pop("roles", []),
        }
        return ApprovalPolicy.objects.create(
            organization=project.organization,
            project=None if organization_wide else project,
            action_key=action_key,
            approver_config=config,
            **fields,
        )

    return make


class Requests:
    """A caller of the change requests of one project."""

    def __init__(self, client: APIClient, project: Project) -> None:
        self.client = client
        self.base = f"/api/projects/{project.pk}/change_requests/"

    def list(self, **query: Any) -> Any:
        return self.client.get(self.base, query)

    def get(self, request_id: object) -> Any:
        return self.client.get(f"{self.base}{request_id}/")

    def read(self, request_id: object) -> Json:
        """The request, which must be there."""
        answer = self.get(request_id)
        assert answer.status_code == 200, answer.json()
        shown: Json = answer.json()
        return shown

    def post(self, request_id: object, act: str, **body: Any) -> Any:
        return self.client.post(f"{self.base}{request_id}/{act}/", body)

    def approved(self, request_id: object) -> Json:
        """The answer to an approval that must be taken."""
        answer = self.post(request_id, "approve")
        assert answer.status_code == 200, answer.json()
        decided: Json = answer.json()
        return decided


@pytest.fixture
def requests(approver_api: APIClient, project: Project) -> Requests:
    """The change requests as the approver sees them."""
    return Requests(approver_api, project)


@pytest.fixture
def own_requests(api: APIClient, project: Project) -> Requests:
    """The change requests as the member sees them who makes them."""
    return Requests(api, project)


def held_back(answer: Any) -> Json:
    """The change request of an answer that must be the 409 of a new one."""
    assert answer.status_code == 409, answer.json()
    assert answer.json()["code"] == "approval_required", answer.json()
    request: Json = answer.json()["change_request"]
    return request


class Flags:
    """A caller of the flag routes of one project."""

    def __init__(self, client: APIClient, project: Project) -> None:
        self.client = client
        self.project = project
        self.base = f"/api/projects/{project.pk}/feature_flags/"

    def url(self, flag: Json, act: str = "") -> str:
        return f"{self.base}{flag['id']}/" + (f"{act}/" if act else "")

    def post(self, **fields: Any) -> Any:
        return self.client.post(self.base, {"key": "a-flag"} | fields)

    def made(self, **fields: Any) -> Json:
        """A new flag, switched off unless the fields say otherwise; the creation must succeed."""
        answer = self.post(**{"active": False} | fields)
        assert answer.status_code == 201, answer.json()
        made: Json = answer.json()
        return made

    def act(self, flag: Json, act: str) -> Any:
        return self.client.post(self.url(flag, act))

    def patch(self, flag: Json, **changes: Any) -> Any:
        return self.client.patch(self.url(flag), changes)

    def read(self, flag: Json) -> Json:
        shown: Json = self.client.get(self.url(flag)).json()
        return shown


@pytest.fixture
def flags(api: APIClient, project: Project) -> Flags:
    """The flags as the member sees them, who writes."""
    return Flags(api, project)


def rollout(*percentages: float | None, **more: Any) -> Json:
    """Filters with one group for each percentage."""
    return {"groups": [{"properties": [], "rollout_percentage": percentage} for percentage in percentages]} | more


def split(*weights: float, keys: tuple[str, ...] = ("control", "test", "third")) -> Json:
    """The `multivariate` of filters with these weights."""
    variants = [{"key": key, "rollout_percentage": weight} for key, weight in zip(keys, weights, strict=False)]
    return {"multivariate": {"variants": variants}}


# What any request writes: when its key was last used, and how often.
_BESIDES = {"projects_personalapikey", "projects_requestcount"}
_OF_REQUESTS = {"approvals_changerequest", "approvals_approval"}


def stored(*, besides_requests: bool = False) -> dict[str, list[str]]:
    """Every row of the database to the last character; `besides_requests` leaves out what requests are."""
    left_out = _BESIDES | (_OF_REQUESTS if besides_requests else set())
    written: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        for table in sorted(set(connection.introspection.table_names(cursor)) - left_out):
            wanted = (
                "WHERE scope <> 'ChangeRequest'" if besides_requests and table == ActivityEntry._meta.db_table else ""
            )
            cursor.execute(f'SELECT CAST(line AS text) FROM "{table}" AS line {wanted} ORDER BY 1')
            written[table] = [text for (text,) in cursor.fetchall()]
    return written


class Experiments:
    """A caller of the experiment and holdout routes of one project."""

    def __init__(self, client: APIClient, project: Project) -> None:
        self.client = client
        self.base = f"/api/projects/{project.pk}/experiments/"
        self.holdouts = f"/api/projects/{project.pk}/experiment_holdouts/"

    def url(self, experiment: Json, act: str = "") -> str:
        return f"{self.base}{experiment['id']}/" + (f"{act}/" if act else "")

    def post(self, **fields: Any) -> Any:
        return self.client.post(self.base, {"name": "Blue button", "feature_flag_key": "blue-button"} | fields)

    def made(self, **fields: Any) -> Json:
        """A new experiment; the creation must succeed."""
        answer = self.post(**fields)
        assert answer.status_code == 201, answer.json()
        made: Json = answer.json()
        return made

    def act(self, experiment: Json, act: str, **body: Any) -> Any:
        return self.client.post(self.url(experiment, act), body)

    def done(self, experiment: Json, *acts: str) -> Json:
        """The experiment after these acts, which must succeed."""
        for act in acts:
            body = {"variant_key": "test"} if act == "ship_variant" else {}
            answer = self.act(experiment, act, **body)
            assert answer.status_code == 200, answer.json()
            experiment = answer.json()
        return experiment

    def patch(self, experiment: Json, **changes: Any) -> Any:
        return self.client.patch(self.url(experiment), changes)

    def read(self, experiment: Json) -> Json:
        answer = self.client.get(self.url(experiment))
        assert answer.status_code == 200, answer.json()
        shown: Json = answer.json()
        return shown

    def holdout(self, percentage: float = 10) -> Json:
        """A new holdout."""
        body = {"name": "Never shown", "filters": [{"properties": [], "rollout_percentage": percentage}]}
        answer = self.client.post(self.holdouts, body)
        assert answer.status_code == 201, answer.json()
        made: Json = answer.json()
        return made

    def change_holdout(self, holdout: Json, percentage: float | None = None, **changes: Any) -> Any:
        if percentage is not None:
            changes["filters"] = [{"properties": [], "rollout_percentage": percentage}]
        return self.client.patch(f"{self.holdouts}{holdout['id']}/", changes)

    def delete_holdout(self, holdout: Json) -> Any:
        return self.client.delete(f"{self.holdouts}{holdout['id']}/")

    def read_holdout(self, holdout: Json) -> Any:
        return self.client.get(f"{self.holdouts}{holdout['id']}/")


@pytest.fixture
def experiments(api: APIClient, project: Project) -> Experiments:
    """The experiments as the member sees them, who writes."""
    return Experiments(api, project)

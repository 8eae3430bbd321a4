"""The definitions feed on its three addresses, and remote configuration."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from cohorts.models import Cohort
from events.models import GroupType
from feature_flags.models import FeatureFlag
from projects.keys import hash_key, mask_key, new_secret_key
from projects.models import Organization, Project, ProjectSecretAPIKey, User
from tests.cast import error
from tests.feature_flags.conftest import key_of
from tests.feature_flags.sdk.conftest import EVERYBODY, PRO

Make = Callable[..., FeatureFlag]
NEWER, OLDER = "/flags/definitions", "/api/feature_flag/local_evaluation"
AUTHENTICATION = "authentication_error"


class Server:
    """A server that asks with a secret."""

    def __init__(self, project: Project, secret: str) -> None:
        self.project, self.secret = project, secret

    def get(self, path: str = NEWER, *, token: str | None = "", secret: str | None = None, **headers: str) -> Any:
        known = self.secret if secret is None else secret
        query = {} if token is None else {"token": token or self.project.api_token, "send_cohorts": ""}
        return Client().get(path, query, headers=({"Authorization": f"Bearer {known}"} if known else {}) | headers)

    def feed(self) -> dict[str, Any]:
        answer = self.get()
        assert answer.status_code == 200, answer.content
        body: dict[str, Any] = answer.json()
        return body


@pytest.fixture
def server(project: Project) -> Server:
    secret = new_secret_key()
    project.secret_token_hash, project.secret_token_mask = hash_key(secret), mask_key(secret)
    project.save()
    return Server(project, secret)


def secret_key(project: Project, *scopes: str) -> str:
    value = new_secret_key()
    ProjectSecretAPIKey.objects.create(
        id=value[-12:], project=project, label=value[-9:], value_hash=hash_key(value), mask_value="x", scopes=scopes
    )
    return value


def test_feed__holds_what_clients_need(server: Server, project: Project, stored_flag: Make) -> None:
    flag = stored_flag("beta", name="Beta", version=3, evaluation_contexts=["docs"])
    assert server.feed() == {
        "flags": [
            {
                "id": flag.pk,
                "team_id": project.pk,
                "name": "Beta",
                "key": "beta",
                "filters": {"groups": [EVERYBODY]},
                "deleted": False,
                "active": True,
                "ensure_experience_continuity": False,
                "has_encrypted_payloads": False,
                "version": 3,
                "evaluation_runtime": "all",
                "bucketing_identifier": "distinct_id",
                "evaluation_contexts": ["docs"],
                "has_experiment": False,
            }
        ],
        "group_type_mapping": {},
        "cohorts": {},
        "minimal_flag_called_events": False,
        "property_matching_version": 1,
    }


def test_feed__tells_inactive_flags_and_neither_deleted_nor_encrypted_nor_unreadable_ones(
    server: Server, stored_flag: Make
) -> None:
    stored_flag("z-active")
    stored_flag("a-inactive", active=False)
    stored_flag("deleted", deleted=True)
    stored_flag("encrypted", has_encrypted_payloads=True, is_remote_configuration=True, payloads={"true": "x"})
    stored_flag("broken", filters={"groups": 5})
    assert [(flag["key"], flag["active"]) for flag in server.feed()["flags"]] == [
        ("a-inactive", False),
        ("z-active", True),
    ]


def test_feed__names_group_types(server: Server, project: Project) -> None:
    GroupType.objects.create(project=project, group_type="company", group_type_index=0)
    assert server.feed()["group_type_mapping"] == {"0": "company"}


def asks(target: int, value: Any = True) -> dict[str, Any]:
    return {"key": str(target), "type": "flag", "value": value, "operator": "flag_evaluates_to"}


def test_feed__names_dependencies_by_key_with_their_chain(server: Server, stored_flag: Make) -> None:
    first = stored_flag("z-first")
    second = stored_flag("m-second", groups=[{"properties": [asks(first.pk)]}])
    stored_flag("a-third", groups=[{"properties": [asks(second.pk), PRO]}, EVERYBODY])
    third = server.feed()["flags"][0]
    assert third["filters"]["groups"] == [
        {
            "properties": [
                asks(second.pk) | {"key": "m-second", "dependency_chain": ["z-first", "m-second"]},
                PRO,
            ]
        },
        EVERYBODY,
    ]


def test_feed__dependency_that_is_missing_or_cyclic__has_an_empty_chain(server: Server, stored_flag: Make) -> None:
    stored_flag("misses", groups=[{"properties": [asks(10**6)]}])
    cyclic = stored_flag("cyclic")
    FeatureFlag.objects.filter(pk=cyclic.pk).update(filters={"groups": [{"properties": [asks(cyclic.pk)]}]})
    found = {flag["key"]: flag["filters"]["groups"][0]["properties"][0] for flag in server.feed()["flags"]}
    assert (found["misses"]["key"], found["misses"]["dependency_chain"]) == ("1000000", [])
    assert (found["cyclic"]["key"], found["cyclic"]["dependency_chain"]) == ("cyclic", [])


def test_feed__dependency_on_an_inactive_flag__is_that_flag_alone(server: Server, stored_flag: Make) -> None:
    off = stored_flag("off", active=False, groups=[{"properties": [asks(10**6)]}])
    stored_flag("a", groups=[{"properties": [asks(off.pk, False)]}])
    assert server.feed()["flags"][0]["filters"]["groups"][0]["properties"][0]["dependency_chain"] == ["off"]


@pytest.mark.parametrize(
    ("operator", "negation", "told"),
    [
        ("in", None, "in"),
        ("in", False, "in"),
        ("in", True, "not_in"),
        ("not_in", True, "in"),
        ("exact", True, "not_in"),
    ],
)
def test_feed__negated_cohort__is_told_by_its_operator(
    server: Server, project: Project, stored_flag: Make, operator: str, negation: bool | None, told: str
) -> None:
    cohort = Cohort.objects.create(project=project, name="Pro", filters={"properties": {"values": [PRO]}})
    condition = {"key": "id", "type": "cohort", "value": cohort.pk, "operator": operator}
    stored_flag("beta", groups=[{"properties": [condition | ({} if negation is None else {"negation": negation})]}])
    shown = server.feed()["flags"][0]["filters"]["groups"][0]["properties"][0]
    assert (shown["operator"], shown.get("negation", False)) == (told, False)


def test_feed__cohorts__are_the_dynamic_ones_that_flags_need(
    server: Server, project: Project, stored_flag: Make
) -> None:
    def made(name: str, *values: Any, **columns: Any) -> Cohort:
        criteria = {"properties": {"type": "OR", "values": list(values)}}
        return Cohort.objects.create(project=project, name=name, filters=criteria, **columns)

    def member(cohort: Cohort, **more: Any) -> dict[str, Any]:
        return {"key": "id", "type": "cohort", "value": cohort.pk} | more

    static = made("static", is_static=True)
    nested = made("nested", PRO | {"negation": True})
    group = {"type": "AND", "values": [PRO]}
    outer = made("outer", member(nested), group, member(static, negation=True))
    made("unused", PRO)
    stored_flag("beta", active=False, groups=[{"properties": [member(outer, operator="in")]}])
    assert server.feed()["cohorts"] == {
        str(nested.pk): {"type": "OR", "values": [PRO | {"negation": True}]},
        str(outer.pk): {
            "type": "OR",
            "values": [
                {"type": "AND", "values": [member(nested)]},
                group,
                {"type": "AND", "values": [member(static, negation=True)]},
            ],
        },
    }


@pytest.mark.parametrize("path", [NEWER, OLDER])
def test_etag__in_any_form__is_answered_without_a_body(server: Server, stored_flag: Make, path: str) -> None:
    stored_flag("beta")
    first = server.get(path)
    etag = first["ETag"]
    assert first["Cache-Control"] == "private, must-revalidate"
    assert etag.startswith('W/"')
    for form in (etag, etag.removeprefix("W/"), etag.removeprefix("W/").strip('"'), f'"x", {etag}'):
        again = server.get(path, **{"If-None-Match": form})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", etag)
    FeatureFlag.objects.update(active=False)
    changed = server.get(path, **{"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed["ETag"] != etag


@pytest.mark.parametrize("path", [NEWER, f"{NEWER}/", OLDER, f"{OLDER}/"])
def test_every_credential__opens_the_feed(server: Server, project: Project, owner: User, path: str) -> None:
    owner.current_project = project
    owner.save()
    for secret in (
        server.secret,
        secret_key(project, "feature_flag:read"),
        key_of(owner, "feature_flag:read"),
        key_of(owner, "feature_flag:write"),
        key_of(owner),
    ):
        for token in ("", None):
            assert server.get(path, secret=secret, token=token).status_code == 200
    own_address = f"/api/projects/{project.pk}/feature_flags/local_evaluation"
    assert server.get(own_address).json() == server.feed()


def test_refusals__of_the_newer_address(
    server: Server, project: Project, organization: Organization, owner: User
) -> None:
    other = Project.objects.create(organization=organization, name="Other")
    invalid = error("authentication_failed", "Secret API token is invalid.", type=AUTHENTICATION)
    scope = "Personal API key lacks required scopes (feature_flag:read or feature_flag:write)."
    stranger = User.objects.create_user("stranger@example.com")
    refusals = [
        (
            server.get(secret=""),
            401,
            error("not_authenticated", "Authentication credentials were not provided.", type=AUTHENTICATION),
        ),
        (server.get(secret="phs_unknown"), 401, invalid),
        (server.get(secret=secret_key(other, "feature_flag:read")), 401, invalid),
        (server.get(token="phc_unknown"), 401, invalid),
        (
            server.get(secret="phx_unknown"),
            401,
            error("authentication_failed", "Personal API key is invalid.", type=AUTHENTICATION),
        ),
        (
            server.get(secret=key_of(owner, "experiment:read")),
            403,
            error("permission_denied", scope, type=AUTHENTICATION),
        ),
        (
            server.get(secret=secret_key(project, "experiment:read")),
            403,
            error("permission_denied", scope, type=AUTHENTICATION),
        ),
        (
            server.get(secret=key_of(stranger)),
            403,
            error("permission_denied", "You don't have access to the project.", type=AUTHENTICATION),
        ),
    ]
    for answer, status, body in refusals:
        assert (answer.status_code, answer.json()) == (status, body)


def test_refusals__of_the_rest_address__are_its_own(server: Server) -> None:
    answer = server.get(OLDER, secret="phs_unknown")
    assert answer.status_code == 401
    assert answer.json()["detail"] == "Project secret API key found in request Authorization header is invalid."


def test_methods__of_the_newer_address(server: Server) -> None:
    client = Client()
    assert client.head(NEWER).status_code == 200
    options = client.options(NEWER)
    assert (options.status_code, options["Allow"]) == (204, "GET, OPTIONS, HEAD")
    assert client.post(NEWER).status_code == 405


@pytest.mark.parametrize("path", [NEWER, OLDER])
def test_throttle__after_600_a_minute(server: Server, settings: Any, path: str) -> None:
    from projects import throttling

    settings.THROTTLING_ENABLED = True
    for _ in range(600):
        throttling.spend(allowance=throttling.DEFINITIONS, key_id=f"project-{server.project.pk}-secret")
    answer = server.get(path)
    assert answer.status_code == 429
    assert (answer.json()["type"], answer.json()["code"]) == ("throttled_error", "throttled")
    assert 1 <= int(answer["Retry-After"]) <= 60


# --- remote configuration ------------------------------------------------------------------------------------------


@pytest.fixture
def configured(flags: Any) -> dict[str, Any]:
    filters = {"groups": [EVERYBODY], "payloads": {"true": '{"a":1}'}}
    made: dict[str, Any] = flags.made(key="my-config", is_remote_configuration=True, filters=filters)
    return made


def test_remote_config__is_the_payload_text_in_json(server: Server, project: Project, configured: Any) -> None:
    for name in ("my-config", configured["id"]):
        for address in (project.pk, "@current"):
            answer = server.get(f"/api/projects/{address}/feature_flags/{name}/remote_config/")
            assert (answer.status_code, answer.content) == (200, rb'"{\"a\":1}"')


def test_remote_config__without_a_payload__is_empty(server: Server, project: Project, flags: Any) -> None:
    flags.made(key="empty", is_remote_configuration=True)
    answer = server.get(f"/api/projects/{project.pk}/feature_flags/empty/remote_config")
    assert (answer.status_code, answer.content) == (200, b"")


def test_remote_config__of_other_flags__is_not_found(
    server: Server, project: Project, stored_flag: Make, configured: Any
) -> None:
    stored_flag("plain")
    stored_flag("gone", is_remote_configuration=True, deleted=True)
    for name in ("plain", "gone", "unknown", "0", "99999999999999999999"):
        answer = server.get(f"/api/projects/{project.pk}/feature_flags/{name}/remote_config")
        assert (answer.status_code, answer.json()) == (404, error("not_found", "Not found.", type="invalid_request"))


def test_remote_config__encrypted__is_clear_to_personal_keys_only(
    server: Server, project: Project, owner: User, flags: Any
) -> None:
    flags.made(
        key="secret",
        is_remote_configuration=True,
        has_encrypted_payloads=True,
        filters={"groups": [EVERYBODY], "payloads": {"true": '{"password":1}'}},
    )
    path = f"/api/projects/{project.pk}/feature_flags/secret/remote_config"
    assert server.get(path).json() == '"********* (encrypted)"'
    assert server.get(path, secret=key_of(owner)).json() == '{"password":1}'


def test_remote_config__refuses_a_missing_and_a_foreign_credential(
    server: Server, project: Project, organization: Organization, configured: Any
) -> None:
    other = Project.objects.create(organization=organization, name="Other")
    path = f"/api/projects/{project.pk}/feature_flags/my-config/remote_config"
    assert server.get(path, secret="").status_code == 401
    assert server.get(path, secret="phs_unknown").status_code == 401
    assert server.get(path, secret=secret_key(other, "feature_flag:read")).status_code == 403

"""`manage.py create_user` and `create_personal_api_key`: further people and keys, from the command line."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.management import CommandError, call_command

from projects.keys import hash_key
from projects.models import Level, Organization, PersonalAPIKey, Project, User
from tests import live_service
from tests.live_service import LiveService


def output_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    call_command(*words)
    return capsys.readouterr().out


def create_user(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(output_of(capsys, "create_user", *words, "--json"))
    return answer


def create_key(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    words = ("create_personal_api_key", "--label", "laptop", *words, "--json")
    answer: dict[str, Any] = json.loads(output_of(capsys, *words))
    return answer


# --- As processes of their own ---------------------------------------------------------------------------------


def test_commands__service_running__make_a_user_and_a_key_that_work(service: LiveService) -> None:
    made = live_service.manage(
        "create_user", "--email", "ada@example.com", "--level", "member", "--json", data_dir=service.data_dir
    )
    assert made.returncode == 0, made.stderr
    words = ("create_personal_api_key", "--email", "ada@example.com", "--label", "laptop")
    key = live_service.manage(*words, "--scopes", "feature_flag:read", "--json", data_dir=service.data_dir)
    assert key.returncode == 0, key.stderr
    url = f"{service.base_url}/api/projects/{service.credentials['project_id']}/feature_flags/"
    headers = {"Authorization": f"Bearer {json.loads(key.stdout)['value']}"}
    assert httpx.get(url, headers=headers).status_code == 200
    assert httpx.post(url, headers=headers, json={"key": "mine"}).status_code == 403


def test_command__service_not_running__starts_and_stops_the_database(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    assert live_service.manage("migrate", "-v0", data_dir=data_dir).returncode == 0
    first = live_service.manage("bootstrap", "--json", data_dir=data_dir)
    assert first.returncode == 0, first.stderr
    made = live_service.manage(
        "create_user", "--email", "ada@example.com", "--level", "admin", "--json", data_dir=data_dir
    )
    assert json.loads(made.stdout)["email"] == "ada@example.com"
    assert not (data_dir / "postgres" / "postmaster.pid").exists()


def test_command__bad_word__is_refused_without_a_traceback(service: LiveService) -> None:
    refused = live_service.manage(
        "create_user", "--email", "ada@example.com", "--level", "king", data_dir=service.data_dir
    )
    assert refused.returncode == 2
    assert "argument --level: invalid choice: 'king' (choose from 'member', 'admin', 'owner')" in refused.stderr
    assert "Traceback" not in refused.stderr


# --- What they answer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", list(Level))
def test_create_user__level__is_the_membership(
    organization: Organization, capsys: pytest.CaptureFixture[str], level: Level
) -> None:
    made = create_user(capsys, "--email", "ada@example.com", "--level", level.label)
    user = User.objects.get(email="ada@example.com")
    assert user.memberships.get().level == level
    assert {name: made[name] for name in ("id", "uuid", "email", "level")} == {
        "id": user.pk,
        "uuid": str(user.uuid),
        "email": "ada@example.com",
        "level": level.value,
    }


def test_create_user__no_password__makes_one_up_and_tells_it(
    organization: Organization, capsys: pytest.CaptureFixture[str]
) -> None:
    made = create_user(capsys, "--email", "ada@example.com", "--level", "member")
    assert len(made["password"]) >= 20
    assert User.objects.get(email="ada@example.com").check_password(made["password"])


def test_create_user__password_given__is_not_printed(
    organization: Organization, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--email", "ada@example.com", "--level", "member", "--password", "correct horse")
    assert output_of(capsys, "create_user", *words) == "Created ada@example.com (member).\n"
    assert User.objects.get(email="ada@example.com").check_password("correct horse")


@pytest.mark.parametrize(
    ("email", "message"),
    [
        ("ada", "'ada' is not an e-mail address."),
        ("OWNER@example.com", "There is already a user with this e-mail address."),
    ],
)
def test_create_user__bad_email__is_refused(
    owner: User, capsys: pytest.CaptureFixture[str], email: str, message: str
) -> None:
    with pytest.raises(CommandError) as refusal:
        call_command("create_user", "--email", email, "--level", "member")
    assert str(refusal.value) == message
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_create_user__no_organization__names_bootstrap() -> None:
    with pytest.raises(CommandError, match=r"`manage\.py bootstrap` makes the first one\."):
        call_command("create_user", "--email", "ada@example.com", "--level", "member")


def test_create_user__several_organizations__asks_for_one(organization: Organization, outsider: User) -> None:
    with pytest.raises(CommandError, match="There are several organizations; name one with --organization"):
        call_command("create_user", "--email", "ada@example.com", "--level", "member")


def test_create_user__organization_named__joins_that_one(
    organization: Organization, outsider: User, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--email", "ada@example.com", "--level", "member", "--organization", str(organization.pk))
    create_user(capsys, *words)
    assert User.objects.get(email="ada@example.com").memberships.get().organization == organization


def test_create_key__json__tells_the_key_that_is_stored_as_its_hash(
    project: Project, member: User, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--email", member.email, "--scopes", "experiment:read, feature_flag:write", "--projects", str(project.pk))
    made = create_key(capsys, *words)
    key = PersonalAPIKey.objects.get(user=member)
    assert made == {
        "id": key.pk,
        "label": "laptop",
        "scopes": ["experiment:read", "feature_flag:write"],
        "scoped_teams": [project.pk],
        "value": made["value"],
    }
    assert key.value_hash == hash_key(made["value"])


def test_create_key__plain__prints_the_value_alone(member: User, capsys: pytest.CaptureFixture[str]) -> None:
    printed = output_of(
        capsys, "create_personal_api_key", "--email", member.email, "--label", "laptop", "--scopes", "*"
    )
    assert printed.startswith("phx_")
    assert printed.count("\n") == 1


def test_create_key__more_than_the_rest_api_allows__is_made(member: User, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(11):
        create_key(capsys, "--email", member.email, "--scopes", "*")
    assert PersonalAPIKey.objects.filter(user=member).count() == 11


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--email", "nobody@example.com"], "There is no user nobody@example.com."),
        (["--scopes", "x:read"], "Invalid scope: x:read"),
        (["--label", ""], "A label has 1 to 40 characters."),
        (["--label", "l" * 41], "A label has 1 to 40 characters."),
        (["--projects", "123456"], "You must be a member of all teams that you are scoping the key to."),
        (["--projects", "one"], "Error: argument --projects: project ids are numbers, joined by commas"),
    ],
)
def test_create_key__bad_word__is_refused_and_makes_none(member: User, words: list[str], message: str) -> None:
    good = ["--email", member.email, "--label", "laptop", "--scopes", "*"]
    with pytest.raises(CommandError) as refusal:
        call_command("create_personal_api_key", *good, *words)
    assert str(refusal.value) == message
    assert not PersonalAPIKey.objects.exists()


def test_bootstrap__database_in_use__changes_nothing(organization: Organization, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="The database has an organization already; nothing was changed"):
        call_command("bootstrap", "--data-dir", str(tmp_path))
    assert Organization.objects.count() == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.django_db
def test_bootstrap__empty_database__makes_an_owner_who_can_sign_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--data-dir", str(tmp_path), "--base-url", "https://experiments.example.com/")
    credentials = json.loads(output_of(capsys, "bootstrap", "--json", *words))
    assert credentials == json.loads((tmp_path / "credentials.json").read_text())
    assert credentials["base_url"] == "https://experiments.example.com"
    user = User.objects.get()
    assert user.check_password(credentials["password"])
    assert user.memberships.get().level == Level.OWNER

"""The four calls of an approval, as the README shows them, sent to the running service."""

import json
import re
import shlex
from string import Template
from typing import Any

import httpx

from tests import live_service
from tests.live_service import ROOT, LiveService

README = (ROOT / "README.md").read_text()
API = "http://127.0.0.1:8000/api/projects/@current"


def commands() -> list[str]:
    """The lines of the section's console block without their prompts."""
    block = re.search(r"```console\n(.*?)```", README.partition("\n## 6. Approvals\n")[2], re.DOTALL)
    assert block is not None
    return [line.removeprefix("$ ") for line in block[1].splitlines()]


def send(command: str, variables: dict[str, str]) -> httpx.Response:
    """Do what curl would: this much of it is in the README."""
    words = iter(shlex.split(Template(command).substitute(variables)))
    assert next(words) == "curl"
    method, url, headers, body = None, "", {}, None
    for word in words:
        match word:
            case "-s":
                continue
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d":
                body = next(words)
            case _:
                url = word
    return httpx.request(method or ("GET" if body is None else "POST"), url, headers=headers, content=body)


def member_key(service: LiveService) -> str:
    email = ("--email", "second-pair-of-eyes@example.com")
    made = live_service.manage("create_user", *email, "--level", "member", data_dir=service.data_dir)
    assert made.returncode == 0, made.stderr
    words = ("--label", "approvals", "--scopes", "experiment:write,approvals:read", "--json")
    key = live_service.manage("create_personal_api_key", *email, *words, data_dir=service.data_dir)
    assert key.returncode == 0, key.stderr
    value: str = json.loads(key.stdout)["value"]
    return value


def test_readme__four_calls__launch_what_was_approved(service: LiveService) -> None:
    made = _post(service, "organizations/@current/projects", {"name": "Needs approval"})
    project = f"projects/{made['id']}"
    draft = _post(service, f"{project}/experiments", {"name": "Blue button", "feature_flag_key": "blue-button"})
    api, policy, launch, approve, look = commands()
    assert api == f"api={API}"
    variables = {
        "api": f"{service.base_url}/api/{project}",
        "key": service.credentials["personal_api_key"],
        "member": member_key(service),
        "experiment": str(draft["id"]),
    }

    answers = [send(policy, variables), send(launch, variables)]
    assert [answer.status_code for answer in answers] == [201, 409]
    assert answers[1].json()["code"] == "approval_required"
    assert _launched(service, project, draft) is False

    variables["request"] = answers[1].json()["change_request_id"]
    answers = [send(approve, variables), send(look, variables)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["status"] == "applied"
    assert answers[1].json()["state"] == "applied"
    assert answers[1].json()["applied_by"]["email"] == "second-pair-of-eyes@example.com"
    assert _launched(service, project, draft) is True


def _post(service: LiveService, path: str, body: dict[str, Any]) -> Any:
    answer = httpx.post(f"{service.base_url}/api/{path}/", json=body, headers=service.headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


def _launched(service: LiveService, project: str, draft: Any) -> bool:
    shown = httpx.get(f"{service.base_url}/api/{project}/experiments/{draft['id']}/", headers=service.headers).json()
    assert shown["feature_flag"]["active"] is (shown["status"] == "running")
    running: bool = shown["status"] == "running"
    return running

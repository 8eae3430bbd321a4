"""GET experiments/eligible_feature_flags/."""

from collections.abc import Callable
from typing import Any

import pytest

from feature_flags.models import FeatureFlag
from projects.models import User
from tests.cast import ClientFor
from tests.experiments.conftest import Experiments

MakeFlag = Callable[..., FeatureFlag]


def eligible(experiments: Experiments, **query: Any) -> dict[str, Any]:
    answer = experiments.client.get(experiments.url("eligible_feature_flags"), query)
    assert answer.status_code == 200, answer.json()
    shown: dict[str, Any] = answer.json()
    return shown


def keys(experiments: Experiments, **query: Any) -> list[str]:
    return [flag["key"] for flag in eligible(experiments, **query)["results"]]


def test_eligible__two_variants_with_control_first(experiments: Experiments, flag: MakeFlag) -> None:
    flag("good")
    flag("one-variant", weights=(100,))
    flag("boolean", filters={"multivariate": None})
    flag(
        "other-first",
        filters={
            "multivariate": {
                "variants": [{"key": "test", "rollout_percentage": 50}, {"key": "control", "rollout_percentage": 50}]
            }
        },
    )
    flag("archived", active=False, archived=True)
    FeatureFlag.objects.filter(pk=flag("gone").pk).update(deleted=True)
    assert keys(experiments) == ["good"]


def test_eligible__counts_all_and_shows_a_window(experiments: Experiments, flag: MakeFlag) -> None:
    for number in range(5):
        flag(f"flag-{number}")
    shown = eligible(experiments, limit=2, offset=1, order="key")
    assert shown["count"] == 5
    assert [flag["key"] for flag in shown["results"]] == ["flag-1", "flag-2"]


@pytest.mark.parametrize("query", [{"limit": "x"}, {"offset": "y"}])
def test_eligible__window_no_number__is_refused_twice_over(experiments: Experiments, query: dict[str, str]) -> None:
    answer = experiments.client.get(experiments.url("eligible_feature_flags"), query)
    assert answer.status_code == 400
    assert answer.json() == {
        "type": "validation_error",
        "code": "invalid_input",
        "detail": "Invalid limit or offset",
        "attr": None,
        "error": "Invalid limit or offset",
    }


def test_eligible__huge_offset__is_empty(experiments: Experiments, flag: MakeFlag) -> None:
    flag()
    assert eligible(experiments, offset=10**30)["results"] == []


def test_eligible__filters(experiments: Experiments, flag: MakeFlag, owner: User, member: User) -> None:
    flag("on", name="Shown to all")
    flag("off", active=False, evaluation_runtime="server")
    flag("ctx", evaluation_contexts=["web"])
    assert keys(experiments, search="SHOWN") == ["on"]
    assert keys(experiments, active="true", order="key") == ["ctx", "on"]
    assert keys(experiments, active="false") == ["off"]
    assert keys(experiments, evaluation_runtime="server") == ["off"]
    assert keys(experiments, has_evaluation_contexts="yes") == ["ctx"]
    assert keys(experiments, has_evaluation_tags="false", order="-key") == ["on", "off"]
    assert keys(experiments, created_by_id=member.pk) == []
    assert len(keys(experiments, created_by_id=owner.pk)) == 3


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ({"created_by_id": "x"}, "created_by_id must be an integer"),
        ({"order": "version"}, "Invalid order field: 'version'"),
    ],
)
def test_eligible__refusals(experiments: Experiments, query: dict[str, str], detail: str) -> None:
    answer = experiments.client.get(experiments.url("eligible_feature_flags"), query)
    experiments.refused(answer, detail)


def test_eligible__needs_the_scope_of_flags(experiments: Experiments, member: User, client_for: ClientFor) -> None:
    reader = Experiments(client_for(member, ["experiment:read"]), experiments.project)
    answer = reader.get("eligible_feature_flags")
    assert answer.status_code == 403
    assert answer.json()["detail"] == "API key missing required scope 'feature_flag:read'"

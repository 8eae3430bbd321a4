"""Flags that depend on flags: what may be referred to, and what may then be switched off."""

from typing import Any

import pytest

from feature_flags.models import FeatureFlag
from tests.feature_flags.conftest import GROUPS, Flags


def on(*targets: object) -> dict[str, Any]:
    properties = [
        {"key": str(target), "type": "flag", "operator": "flag_evaluates_to", "value": True} for target in targets
    ]
    return {"groups": [{"properties": properties, "rollout_percentage": 100}]}


def refused(answer: Any, detail: str, attr: str | None = None) -> None:
    assert answer.status_code == 400
    assert answer.json() == {
        "type": "validation_error",
        "code": "invalid_input",
        "detail": detail,
        "attr": attr,
    }


def test_dependency__on_an_active_flag__is_listed_as_dependent(flags: Flags) -> None:
    target = flags.made(key="target")["id"]
    dependent = flags.made(key="dependent", name="Needs target", filters=on(target))["id"]
    flags.made(key="off", active=False, filters=on(target))
    flags.made(key="unrelated", filters={"groups": GROUPS})
    answer = flags.get(f"{target}/dependent_flags")
    assert answer.status_code == 200
    assert answer.json() == [{"id": dependent, "key": "dependent", "name": "Needs target"}]
    assert flags.get("987654/dependent_flags").status_code == 404


def test_dependency__numeric_key__is_stored_as_text(flags: Flags) -> None:
    target = flags.made(key="target")["id"]
    filters = on(target)
    filters["groups"][0]["properties"][0]["key"] = target
    flag = flags.made(key="k", filters=filters)
    assert flag["filters"]["groups"][0]["properties"][0]["key"] == str(target)


def test_dependency__on_a_disabled_flag__is_refused(flags: Flags) -> None:
    target = flags.made(key="target", active=False)["id"]
    detail = (
        f"Cannot create dependency on disabled flag 'target' (ID: {target}). "
        "Flag dependencies must reference active flags only."
    )
    refused(flags.post(body={"key": "k", "filters": on(target)}), detail, "filters")


def test_dependency__on_a_deleted_flag__does_not_exist(flags: Flags) -> None:
    target = flags.made(key="target")["id"]
    assert flags.patch(target, {"deleted": True}).status_code == 200
    detail = f"Flag dependency references non-existent flag with ID {target}"
    refused(flags.post(body={"key": "k", "filters": on(target)}), detail, "filters")


def test_dependency__on_itself__is_refused(flags: Flags) -> None:
    flag = flags.made(key="me")["id"]
    refused(flags.patch(flag, {"filters": on(flag)}), "Feature flag 'me' cannot depend on itself", "filters")


def test_dependency__that_closes_a_circle__is_refused_with_the_way(flags: Flags) -> None:
    a = flags.made(key="a")["id"]
    b = flags.made(key="b", filters=on(a))["id"]
    c = flags.made(key="c", filters=on(b))["id"]
    refused(flags.patch(a, {"filters": on(b)}), "Circular dependency detected: a → b → a", "filters")
    refused(flags.patch(a, {"filters": on(c)}), "Circular dependency detected: a → c → b → a", "filters")
    assert FeatureFlag.objects.get(pk=a).version == 1


DISABLING = (
    "Cannot disable this feature flag because other flags depend on it: {}. "
    "Please update or disable the dependent flags first."
)
DELETING = (
    "Cannot delete this feature flag because other flags depend on it: {}. "
    "Please update or disable the dependent flags first."
)
ENABLING = (
    "Cannot enable this feature flag because it depends on disabled flags: {}. "
    "Please enable the dependency flags first."
)


@pytest.mark.parametrize(
    ("door", "detail"),
    [
        ({"active": False}, DISABLING),
        ("disable", DISABLING),
        ("archive", DISABLING),
        ({"archived": True, "active": False}, DISABLING),
        ({"deleted": True}, DELETING),
    ],
)
def test_switching_off__while_active_flags_depend_on_it__is_refused(flags: Flags, door: Any, detail: str) -> None:
    target = flags.made(key="target")["id"]
    dependent = flags.made(key="needs", filters=on(target))["id"]

    def act() -> Any:
        return flags.post(f"{target}/{door}") if isinstance(door, str) else flags.patch(target, door)

    refused(act(), detail.format(f"needs (ID: {dependent})"))
    assert flags.get(target).json()["version"] == 1
    assert flags.patch(dependent, {"active": False}).status_code == 200
    assert act().status_code == 200


def test_switching_off__with_many_dependents__names_the_first_five(flags: Flags) -> None:
    target = flags.made(key="target")["id"]
    ids = [flags.made(key=f"d{number}", filters=on(target))["id"] for number in range(7)]
    named = ", ".join(f"d{number} (ID: {pk})" for number, pk in enumerate(ids[:5]))
    refused(flags.patch(target, {"active": False}), DISABLING.format(f"{named} and 2 more"))
    refused(flags.patch(target, {"deleted": True}), DELETING.format(f"{named} and 2 more"))


def test_switching_on__while_it_depends_on_disabled_flags__is_refused(flags: Flags) -> None:
    targets = [flags.made(key=f"t{number}")["id"] for number in range(6)]
    flag = flags.made(key="k", active=False, filters=on(*targets))["id"]
    for target in targets:
        assert flags.post(f"{target}/disable").status_code == 200
    named = ", ".join(f"t{number} (ID: {pk})" for number, pk in enumerate(targets[:5]))
    refused(flags.patch(flag, {"active": True}), ENABLING.format(f"{named} and 1 more"))
    refused(flags.post(f"{flag}/enable"), ENABLING.format(f"{named} and 1 more"))


def test_editing_a_flag_that_is_off__may_keep_its_disabled_dependency(flags: Flags) -> None:
    target = flags.made(key="target")["id"]
    flag = flags.made(key="k", active=False, filters=on(target))["id"]
    flags.post(f"{target}/disable")
    changed = on(target)
    changed["groups"][0]["rollout_percentage"] = 5
    assert flags.patch(flag, {"filters": changed}).status_code == 200

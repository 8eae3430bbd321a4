"""An unmodified OpenFeature provider against the running service."""

from dataclasses import replace
from typing import Any

from tests.clients.conftest import Shop, python_program


def asked(
    name: str, kind: str, flag: str, default: Any, who: str | None = "user-61", **attributes: Any
) -> dict[str, Any]:
    return {"name": name, "kind": kind, "flag": flag, "default": default, "id": who, "attributes": attributes}


QUESTIONS = [
    asked("boolean", "boolean", "beta-search-rollout", False),
    asked("text", "string", "checkout-layout", "none", plan="free"),
    asked("enterprise", "string", "checkout-layout", "none", plan="enterprise"),
    asked("object", "object", "my-config", {}),
    asked("unknown", "boolean", "no-such-flag", True),
    asked("nobody", "boolean", "beta-search-rollout", False, who=None),
    asked("wrong type", "integer", "checkout-layout", 7),
    asked("held out", "string", "checkout-experiment", "mine", who="user-31"),
    asked("inactive", "boolean", "off-flag", True),
]


def test_provider__gets_values_reasons_and_named_errors(shop: Shop) -> None:
    seen = python_program("open_feature_client.py").sees(shop, QUESTIONS)
    found = {name: (one["value"], one["variant"], one["reason"], one["error_code"]) for name, one in seen.items()}
    assert found["boolean"] == (True, "on", "SPLIT", None)
    assert found["text"] == ("compact", "compact", "SPLIT", None)
    assert found["enterprise"] == ("spacious", "spacious", "TARGETING_MATCH", None)
    assert found["object"][0] == {"a": 1}
    assert (found["unknown"][0], found["unknown"][3]) == (True, "FLAG_NOT_FOUND")
    assert (found["nobody"][0], found["nobody"][3]) == (False, "TARGETING_KEY_MISSING")
    assert (found["wrong type"][0], found["wrong type"][3]) == (7, "TYPE_MISMATCH")
    assert found["held out"][:3] == ("mine", f"holdout-{shop.holdout_id}", "SPLIT")
    assert found["inactive"][:3] == (False, "off", "DISABLED")


def test_provider__wrong_token__gives_the_default_and_no_exception(shop: Shop) -> None:
    stranger = replace(shop, token="phc_unknown")
    seen = python_program("open_feature_client.py").sees(stranger, [QUESTIONS[0], QUESTIONS[1]])
    found = {name: (one["value"], one["reason"], one["error_message"]) for name, one in seen.items()}
    assert found == {"boolean": (False, "ERROR", "unauthorized"), "text": ("none", "ERROR", "unauthorized")}


def test_provider__switched_off_flag__is_seen_by_the_next_question(own_shop: Shop) -> None:
    program, boolean = python_program("open_feature_client.py"), QUESTIONS[0]
    assert program.sees(own_shop, [boolean])["boolean"]["value"] is True
    own_shop.call("PATCH", f"feature_flags/{own_shop.flag_ids['beta-search-rollout']}/", {"active": False})
    seen = program.sees(own_shop, [boolean])["boolean"]
    assert (seen["value"], seen["reason"]) == (False, "DISABLED")

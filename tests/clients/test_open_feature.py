"""An unmodified OpenFeature provider against the running service."""

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

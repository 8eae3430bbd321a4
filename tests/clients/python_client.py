"""An application that uses posthog-python as its manual says. Prints one JSON line for each thing it sees.

Arguments: the scenario, and a JSON document of what to ask. Host and keys come from the environment.
"""

import json
import os
import sys
import time
from typing import Any
from urllib.request import Request, urlopen

from posthog import Posthog
from posthog.request import disable_connection_reuse

HOST, TOKEN = os.environ["HOST"], os.environ["TOKEN"]
SECRET = os.environ.get("SECRET")


def see(**seen: Any) -> None:
    print(json.dumps(seen), flush=True)


def client(**options: Any) -> Posthog:
    return Posthog(TOKEN, host=HOST, sync_mode=True, **options)


def local_client() -> Posthog:
    made = client(secret_key=SECRET, poll_interval=1)
    made.load_feature_flags()
    return made


def ask(posthog: Posthog, questions: list[dict[str, Any]], **options: Any) -> None:
    for question in questions:
        about = {
            name: question[name] for name in ("groups", "person_properties", "group_properties") if name in question
        }
        see(
            name=question["name"],
            value=posthog.get_feature_flag(question["flag"], question["id"], **about, **options),
            payload=posthog.get_feature_flag_payload(question["flag"], question["id"], **about, **options),
        )


def remote(questions: list[dict[str, Any]]) -> None:
    posthog = client()
    ask(posthog, questions)
    see(name="all", value=posthog.get_all_flags("user-61"))
    snapshot = posthog.evaluate_flags("user-61")
    see(name="snapshot", value={key: snapshot.get_flag(key) for key in snapshot.keys})


def local(questions: list[dict[str, Any]]) -> None:
    posthog = local_client()
    ask(posthog, questions, only_evaluate_locally=True)
    posthog.shutdown()


def parity(asked: dict[str, Any]) -> None:
    near, far = local_client(), client()
    for distinct_id in asked["ids"]:
        everything = far.get_all_flags(distinct_id, flag_keys_to_evaluate=asked["flags"]) or {}
        for key in asked["flags"]:
            value = near.get_feature_flag(key, distinct_id, only_evaluate_locally=True, send_feature_flag_events=False)
            see(name=f"{key} {distinct_id}", local=value, remote=everything[key])
    near.shutdown()


def poll(asked: dict[str, Any]) -> None:
    """Tells each change of a flag's local value until it is what was asked for."""
    posthog = local_client()
    seen: Any = ...
    deadline = time.monotonic() + asked["seconds"]
    while time.monotonic() < deadline:
        value = posthog.get_feature_flag(
            asked["flag"], asked["id"], only_evaluate_locally=True, send_feature_flag_events=False
        )
        if value != seen:
            seen = value
            see(name="changed", value=value)
        if value == asked["until"]:
            break
        time.sleep(0.05)
    posthog.shutdown()


def kill_switch(asked: dict[str, Any]) -> None:
    """Looks at a flag, switches it off over REST, and looks again at once."""
    near, far = local_client(), client()

    def look(name: str) -> None:
        near.load_feature_flags()
        local = near.get_feature_flag(asked["flag"], asked["id"], only_evaluate_locally=True)
        see(name=name, local=local, remote=far.get_feature_flag(asked["flag"], asked["id"]))

    look("before")
    headers = {"Authorization": f"Bearer {asked['key']}", "Content-Type": "application/json"}
    urlopen(Request(asked["url"], b'{"active": false}', headers, method="PATCH")).close()
    look("after")
    near.shutdown()


def watch(asked: dict[str, Any]) -> None:
    """Tells what the service says until it has said nothing for a while; each time over a new connection."""
    disable_connection_reuse()
    posthog = client()
    gone: float | None = None
    deadline = time.time() + asked["seconds"]
    while time.time() < (deadline if gone is None else gone + asked["seconds_after"]):
        began = time.time()
        value = posthog.get_feature_flag(asked["flag"], asked["id"], send_feature_flag_events=False)
        see(value=value, asked=began, answered=time.time())
        gone = (gone or began) if value is None else None
        time.sleep(0.02)
    posthog.shutdown()


def events(asked: dict[str, Any]) -> None:
    posthog = client(gzip=asked.get("gzip", False))
    who = asked["id"]
    posthog.capture("opened", distinct_id=who, properties={"page": "start"}, groups={"company": "acme"})
    snapshot = posthog.evaluate_flags(who)
    snapshot.get_flag("beta-search-rollout")
    posthog.capture("bought", distinct_id=who, flags=snapshot)
    posthog.set(distinct_id=who, properties={"plan": "pro"})
    posthog.set_once(distinct_id=who, properties={"plan": "free", "source": "advert"})
    posthog.alias(previous_id=who, distinct_id=f"{who}-alias")
    posthog.group_identify("company", "acme", {"tier": "gold"})
    number = posthog.capture("repeated", distinct_id=who, uuid=asked["uuid"], timestamp=asked["timestamp"])
    posthog.capture("repeated", distinct_id=who, uuid=asked["uuid"], timestamp=asked["timestamp"])
    posthog.flush()
    posthog.shutdown()
    see(name="uuid", value=str(number))


def exposure(questions: list[dict[str, Any]]) -> None:
    posthog = client()
    for question in questions:
        see(name=question["id"], value=posthog.get_feature_flag(question["flag"], question["id"]))
        posthog.get_feature_flag(question["flag"], question["id"])
    posthog.shutdown()


def remote_config(key: str) -> None:
    posthog = client(secret_key=SECRET)
    see(name="payload", value=posthog.get_remote_config_payload(key))


def failures(asked: dict[str, Any]) -> None:
    stranger = Posthog("phc_unknown", host=HOST, sync_mode=True)
    see(name="flag", value=stranger.get_feature_flag(asked["flag"], "user-61"))
    see(name="all", value=stranger.get_all_flags("user-61"))
    stranger.capture("lost", distinct_id="user-61")
    intruder = Posthog(TOKEN, host=HOST, sync_mode=True, secret_key="phs_unknown", poll_interval=60)
    intruder.load_feature_flags()
    value = intruder.get_feature_flag(asked["flag"], "user-61", only_evaluate_locally=True)
    see(name="local", value=value)
    see(name="payload", value=intruder.get_remote_config_payload(asked["config"]))
    intruder.shutdown()


SCENARIOS = {
    act.__name__: act
    for act in (remote, local, parity, poll, kill_switch, watch, events, exposure, remote_config, failures)
}

if __name__ == "__main__":
    SCENARIOS[sys.argv[1]](json.loads(sys.argv[2]))

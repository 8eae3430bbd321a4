"""A tour of the API: the whole life of an experiment, over HTTP, with nothing but the standard library.

Start the service (`make run`), then in another terminal:

    python examples/tour.py

It reads address and key from .data/credentials.json; --credentials names another file. What it makes has a fresh key
each time, so it can be run again and again.
"""

import argparse
import json
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

WIDTH = 100
VISITORS = 200


class Refused(Exception):
    """An answer other than the one the tour expects."""


class Client:
    """Sends a request, prints it and its answer in short, and gives the answer's JSON."""

    def __init__(self, *, base_url: str, key: str, project_id: int) -> None:
        self.base = f"{base_url}/api/projects/{project_id}"
        self.key = key
        self.etag = ""

    def __call__(
        self, method: str, path: str, body: Any = None, *, expect: int = 200, if_match: str | None = None
    ) -> Any:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        if if_match:
            headers["If-Match"] = if_match
        text = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data=text, headers=headers, method=method)
        print(f"\n{method} {path}" + (f"\n    {_short(body)}" if body is not None else ""))
        try:
            with urllib.request.urlopen(request) as response:
                status, headers_back, answer = response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            status, headers_back, answer = error.code, error.headers, error.read()
        self.etag = headers_back.get("ETag", "")
        shown = json.loads(answer) if answer else None
        print(f"  → {status}  {_told(shown)}")
        if status != expect:
            raise Refused(f"{method} {path} answered {status}, not {expect}: {answer.decode()}")
        return shown


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def _told(answer: Any) -> str:
    """What matters of an answer: of an experiment its state, of a list its length, of an error its sentence."""
    if not isinstance(answer, dict):
        return _short(answer) if answer is not None else "(no content)"
    for known, told in FORMS:
        if known <= set(answer):
            return told(answer)
    return _short(answer)


def _told_experiment(answer: dict[str, Any]) -> str:
    facts = ("id", "name", "status", "start_date", "end_date", "conclusion", "archived")
    return _short({fact: answer[fact] for fact in facts if answer[fact] not in (None, False)})


def _told_page(answer: dict[str, Any]) -> str:
    return f"{answer['count']} in all: {_short([entry.get('name') for entry in answer['results']])}"


def _told_arms(answer: dict[str, Any]) -> str:
    arms = [answer["baseline"], *answer["variant_results"]]
    return _short({arm["key"]: f"{arm['sum']} by {arm['number_of_samples']} users" for arm in arms})


# By the keys that an answer has.
FORMS: list[tuple[set[str], Callable[[dict[str, Any]], str]]] = [
    ({"detail", "code"}, lambda answer: f"{answer['code']}: {answer['detail']}"),
    ({"status", "feature_flag_key"}, _told_experiment),
    ({"results", "count"}, _told_page),
    ({"total_exposures"}, lambda answer: f"exposed: {_short(answer['total_exposures'])}"),
    ({"exposures", "metrics"}, lambda answer: f"{len(answer['metrics'])} metrics, as of {answer['as_of']}"),
    ({"baseline", "variant_results"}, _told_arms),
]


class Application:
    """The application that asks which variant its visitors get and tells what they do, as client libraries do."""

    def __init__(self, *, base_url: str, token: str) -> None:
        self.base_url = base_url
        self.token = token

    def variant(self, flag_key: str, visitor: str) -> Any:
        answer = self._post("/flags/?v=2", {"token": self.token, "distinct_id": visitor})
        return answer["flags"][flag_key].get("variant", False)

    def tell(self, events: list[dict[str, Any]]) -> None:
        print(f"\nPOST /batch/\n    {len(events)} events, such as {_short(events[0])}")
        answer = self._post("/batch/", {"api_key": self.token, "batch": events})
        print(f"  → {_short(answer)}")

    def _post(self, path: str, body: Any) -> Any:
        text = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.base_url + path, data=text, headers=headers, method="POST")
        with urllib.request.urlopen(request) as response:
            return json.loads(response.read())


def visit(application: Application, flag_key: str, suffix: str) -> None:
    """Two hundred visitors come. Every third who sees green buys, and every sixth of the others."""
    events: list[dict[str, Any]] = []
    for number in range(VISITORS):
        visitor = f"visitor-{number}-{suffix}"
        variant = application.variant(flag_key, visitor)
        called = {"$feature_flag": flag_key, "$feature_flag_response": variant}
        events.append({"event": "$feature_flag_called", "distinct_id": visitor, "properties": called})
        if number % (3 if variant == "green" else 6) == 0:
            events.append({"event": "purchase", "distinct_id": visitor, "properties": {"amount": 20 + number % 7}})
    application.tell(events)


def tell_results(results: dict[str, Any]) -> None:
    """One line for each metric: how the green button compares."""
    for metric in results["metrics"]:
        for arm in metric["result"]["variant_results"]:
            found = "too few users yet"
            if arm["effect"] is not None:
                low, high = arm["credible_interval"]
                found = f"{arm['effect']:+.0%} ({low:+.0%} to {high:+.0%}), chance to win {arm['chance_to_win']:.0%}"
            print(f"     {metric['metric_type']:<8} {metric['role']:<10} {arm['key']:<8} {found}")


PURCHASES = {
    "kind": "ExperimentMetric",
    "metric_type": "mean",
    "source": {"kind": "EventsNode", "event": "purchase"},
}


def heading(text: str) -> None:
    print(f"\n\n── {text} ".ljust(WIDTH, "─"))


def tour(send: Client, application: Application) -> None:
    """Walk the whole life of an experiment. Raises Refused when an answer is not the expected one."""
    suffix = uuid.uuid4().hex[:8]
    key = f"checkout-button-{suffix}"

    heading("Plan: how long would it have to run?")
    send(
        "POST",
        "/experiments/calculate_running_time/",
        {
            "metric_type": "funnel",
            "baseline_value": 0.1,
            "minimum_detectable_effect": 20,
            "exposure_rate_per_day": 500,
        },
    )

    heading("Prepare: a holdout, and a metric that many experiments can use")
    holdout = send(
        "POST",
        "/experiment_holdouts/",
        {"name": f"Never experimented on {suffix}", "filters": [{"properties": [], "rollout_percentage": 5}]},
        expect=201,
    )
    revenue = send(
        "POST",
        "/experiment_saved_metrics/",
        {
            "name": f"Revenue per user {suffix}",
            "query": {
                "kind": "ExperimentMetric",
                "metric_type": "mean",
                "goal": "increase",
                "source": {"kind": "EventsNode", "event": "purchase", "math": "sum", "math_property": "amount"},
            },
        },
        expect=201,
    )

    heading("Create: a draft, and its feature flag with it")
    experiment = send(
        "POST",
        "/experiments/",
        {
            "name": f"Checkout button colour {suffix}",
            "description": "Does a green button sell more?",
            "feature_flag_key": key,
            "holdout_id": holdout["id"],
            "parameters": {
                "feature_flag_variants": [
                    {"key": "control", "name": "Blue", "split_percent": 50},
                    {"key": "green", "name": "Green", "split_percent": 50},
                ],
                "minimum_detectable_effect": 20,
            },
            "metrics": [
                {
                    "kind": "ExperimentMetric",
                    "metric_type": "funnel",
                    "goal": "increase",
                    "series": [{"kind": "EventsNode", "event": "purchase"}],
                }
            ],
            "saved_metrics_ids": [{"id": revenue["id"], "metadata": {"type": "secondary"}}],
        },
        expect=201,
    )
    one = f"/experiments/{experiment['id']}/"
    send("GET", f"/experiments/?status=draft&search={suffix}")

    heading("Change: safely, by the version that was read")
    send("GET", one)
    read = send.etag
    send("PATCH", one, {"description": "Does a green button sell more, also on phones?"}, if_match=read)
    send("PATCH", one, {"description": "Too late"}, if_match=read, expect=412)

    heading("Run: launch, pause, resume")
    send("POST", f"{one}launch/")
    send("POST", f"{one}launch/", expect=400)
    send("POST", f"{one}pause/")
    send("POST", f"{one}resume/")
    send("POST", f"{one}create_exposure_cohort_for_experiment/")

    heading("Watch: visitors come, and the results show what the button does")
    visit(application, key, suffix)
    send("GET", f"{one}exposures/")
    tell_results(send("GET", f"{one}results/"))
    question = {"kind": "ExperimentQuery", "experiment_id": experiment["id"], "metric": PURCHASES}
    send("POST", "/query/", {"query": question})

    heading("Decide: everyone gets the green button, and the experiment ends")
    send("POST", f"{one}ship_variant/", {"variant_key": "green", "conclusion": "won"})
    flag_id = experiment["feature_flag"]["id"]
    send("GET", f"/feature_flags/{flag_id}/status/")

    heading("Learn more: the same question once more, as a draft")
    copy = send("POST", f"{one}duplicate/", {"feature_flag_key": f"{key}-again"})

    heading("Tidy up: archive, delete, restore")
    send("POST", f"{one}archive/")
    send("GET", f"/experiments/?archived=true&search={suffix}")
    send("DELETE", f"/experiments/{copy['id']}/", expect=405)
    send("PATCH", f"/experiments/{copy['id']}/", {"deleted": True})
    send("GET", f"/experiments/{copy['id']}/", expect=404)
    send("PATCH", f"/experiments/{copy['id']}/", {"deleted": False})

    heading("Look back: who did what")
    send("GET", "/experiments/stats/")
    history = send("GET", f"{one}activity/?limit=5")
    for entry in history["results"]:
        changed = ", ".join(change["field"] for change in entry["detail"]["changes"])
        print(f"     {entry['created_at'][:19]}  {entry['scope']:<20} {entry['activity']:<9} {changed}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--credentials", type=Path, default=Path(".data/credentials.json"))
    path: Path = parser.parse_args().credentials
    if not path.exists():
        sys.exit(f"{path} is not there. Start the service with `make run`, or name its file with --credentials.")
    credentials = json.loads(path.read_text())
    send = Client(
        base_url=credentials["base_url"],
        key=credentials["personal_api_key"],
        project_id=credentials["project_id"],
    )
    application = Application(base_url=credentials["base_url"], token=credentials["project_api_token"])
    try:
        tour(send, application)
    except Refused as refusal:
        sys.exit(f"\nThe tour ended early. {refusal}")
    except urllib.error.URLError as error:
        sys.exit(f"\nNothing answers at {credentials['base_url']} ({error.reason}). Is the service running?")
    print(
        "\nThe tour is over. Every address above is described at", f"{credentials['base_url']}/api/schema/swagger-ui/"
    )


if __name__ == "__main__":
    main()

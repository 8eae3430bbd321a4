"""100 flags for one person against a bare view that returns the same bytes.

The floor answers from memory in the same server process, on the same short way around most middleware that the
service's own address takes. The service decodes the request, finds the project, evaluates 100 flags and writes their
records; it should reach at least half the floor's throughput. Beside that: a floor behind the middleware that every
other view is behind, how long one request takes inside the process, and a flag inside the evaluator.
"""

from statistics import median
from typing import Any

import orjson

from benchmarks.harness import Service, ask, compare, spread

AIM = 0.5
AIM_MILLISECONDS = 0.5
FLAGS = 100
SERVICE = "/flags/?v=2"
FLOOR = "/floor/lane/flags/"
LONG_FLOOR = "/floor/flags/"
INSIDE = "/floor/flags/inside/"

PERSON = {"plan": "pro", "country": "de", "seats": 12, "email": "ada@example.com"}


def run(running: Service, *, rounds: int, seconds: float) -> None:
    """Measure and print."""
    _, body = prepare(running)
    size = len(ask(running, FLOOR, body))
    measured = compare(
        running, service_path=SERVICE, floor_path=FLOOR, body=body, rounds=rounds, seconds=seconds, clients=2
    )
    long = compare(
        running, service_path=SERVICE, floor_path=LONG_FLOOR, body=body, rounds=rounds, seconds=seconds, clients=2
    )
    times = orjson.loads(ask(running, INSIDE, body))
    request = sorted(times["request"])
    print(f"{FLAGS} flags for one person, one worker process, {rounds} rounds of {seconds:g} s in turns")
    print(f"  service  {spread(measured.service, '.0f')} requests/s, {size / 1000:.1f} kB an answer")
    print(f"  floor    {spread(measured.floor, '.0f')} requests/s, the same bytes on the same short way")
    print(f"  ratio    {spread(measured.ratios, '.2f')}, aim: at least {AIM}")
    print(f"  floor behind all middleware: {spread(long.floor, '.0f')} requests/s, ratio {spread(long.ratios, '.2f')}")
    print(
        f"  in the process, {len(request)} times: median {median(request) / 1000:.3f} ms, "
        f"99th percentile {request[len(request) * 99 // 100] / 1000:.3f} ms a request, "
        f"aim: median below {AIM_MILLISECONDS} ms"
    )
    print(f"  evaluator alone: {median(times['evaluator']) / FLAGS:.2f} microseconds a flag")


def prepare(running: Service) -> tuple[list[dict[str, Any]], bytes]:
    """Make a project with the flags; returns these, and the body that asks for all of them."""
    organization = running.credentials["organization_id"]
    project = running.post(f"/api/organizations/{organization}/projects/", {"name": "Many flags"})
    flags = [_flag(number) for number in range(FLAGS)]
    for flag in flags:
        running.post(f"/api/projects/{project['id']}/feature_flags/", flag)
    body = orjson.dumps({"token": project["api_token"], "distinct_id": "user-61", "person_properties": PERSON})
    answer = orjson.loads(ask(running, SERVICE, body))
    if len(answer["flags"]) != FLAGS or answer["errorsWhileComputingFlags"]:
        raise RuntimeError(f"The answer holds {len(answer['flags'])} flags instead of {FLAGS} good ones.")
    return flags, body


def _flag(number: int) -> dict[str, Any]:
    """Of every three one rollout, one targeted test, one split with a variant for some."""
    plan = {"key": "plan", "type": "person", "value": ["pro", "team"], "operator": "exact"}
    seats = {"key": "seats", "type": "person", "value": 5 + number % 20, "operator": "gte"}
    staff = {"key": "email", "type": "person", "value": "@example.com", "operator": "icontains"}
    groups: list[list[dict[str, Any]]] = [
        [{"properties": [], "rollout_percentage": number}],
        [{"properties": [plan, seats], "rollout_percentage": 50}, {"properties": [], "rollout_percentage": 10}],
        [{"properties": [staff], "rollout_percentage": 5, "variant": "test"}, {"properties": []}],
    ]
    filters: dict[str, Any] = {"groups": groups[number % 3]}
    if number % 3:
        shares = (("control", 50), ("test", 50))
        filters["multivariate"] = {"variants": [{"key": key, "rollout_percentage": share} for key, share in shares]}
    return {"key": f"flag-{number}", "filters": filters}

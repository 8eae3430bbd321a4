"""`python -m benchmarks [NAME...]`: start the service once and run the benchmarks one after the other."""

import argparse
from collections.abc import Mapping
from types import ModuleType

from benchmarks import capture_events, evaluate_flags, harness, list_experiments, results, unleash_frontend

# One file each; a benchmark offers `run(service, rounds=, seconds=)`.
BENCHMARKS: Mapping[str, ModuleType] = {
    "list_experiments": list_experiments,
    "evaluate_flags": evaluate_flags,
    "capture_events": capture_events,
    "results": results,
}
# Run when they are named: they install what they compare with.
BY_NAME: Mapping[str, ModuleType] = {"unleash_frontend": unleash_frontend}


def main() -> None:
    known = {**BENCHMARKS, **BY_NAME}
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(known)} (default: {', '.join(BENCHMARKS)})"
    )
    parser.add_argument("--rounds", type=int, default=7, help="pairs of measurements (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2, help="length of one measurement (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="web worker processes (default: %(default)s)")
    parser.add_argument(
        "--events", type=int, default=results.EVENTS, help="stored events of `results` (default: %(default)s)"
    )
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}")
    with harness.service(workers=options.workers) as running:
        for name in options.names or BENCHMARKS:
            more = {"events": options.events} if name == "results" else {}
            known[name].run(running, rounds=options.rounds, seconds=options.seconds, **more)


if __name__ == "__main__":
    main()

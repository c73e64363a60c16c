"""run.py SCENARIO…: plays scenarios of tests/scenarios.tsv, and prints `ok NAME` for each."""

import sys

import faults
import local
import plain
import process

SCENARIOS = {
    scenario.__name__: scenario
    for module in (plain, local, faults, process)
    for scenario in module.SCENARIOS
}


def main(names):
    if not names:
        sys.exit("usage: run.py SCENARIO…")
    for name in names:
        if name not in SCENARIOS:
            sys.exit(f"no such scenario: {name}")
        SCENARIOS[name]()
        print(f"ok {name}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

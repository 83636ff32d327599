"""One fault, in a process of its own: ``python -m chaos.one F1 [--quick]`` prints one JSON line for each of its runs."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Collection
from dataclasses import replace

from .fault import Fault, Run
from .faults import load
from .result import Result
from .rig import Rig


def main() -> int:
    parser = argparse.ArgumentParser(description="Run one fault.")
    parser.add_argument("fault")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--run", action="append", help="only the run of this name; may be given several times")
    options = parser.parse_args()
    fault = load(options.fault)
    chosen = choose(fault, options.run, quick=options.quick, ours=options.only_ours)
    with Rig(fault.database, redis=fault.redis) as rig:
        rig.prepare()
        results = [show(once(fault, rig, replace(run, quick=options.quick, fault=fault.name))) for run in chosen]
    return 0 if all(result.as_it_should for result in results) else 1


def choose(fault: Fault, names: Collection[str] | None, *, quick: bool, ours: bool) -> list[Run]:
    """The runs of a fault: the named ones, or all that belong to such a session."""
    if names:
        return [run for run in fault.runs if run.name in names]
    return [run for run in fault.runs if (run.small or not quick) and not (run.peer and ours)]


def once(fault: Fault, rig: Rig, run: Run) -> Result:
    return asyncio.run(fault.run(rig, run))


def show(result: Result) -> Result:
    print(result.line(), flush=True)
    return result


if __name__ == "__main__":
    sys.exit(main())

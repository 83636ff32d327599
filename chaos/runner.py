"""Runs faults one after the other, each in a process of its own: a JSON line for each run, a bar, the table at the end."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import table
from .bar import Bar
from .fault import Fault
from .faults import FILES, load
from .one import choose
from .result import Limit, Result

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 400
"""After which a fault that does not end is killed."""


def main() -> int:
    options = parse()
    if options.render:
        return render(options.render)
    faults = [load(name) for name in options.faults or FILES]
    began = time.monotonic()
    results: list[Result] = []
    with Bar(sum(len(runs(fault, options)) for fault in faults)) as bar:
        for fault in faults:
            bar.say(f"{fault.name} {fault.title}")
            for result in run(fault, options):
                results.append(result)
                bar.line(result.line())
                bar.step(not result.as_it_should)
    print(f"\n{table.text(results)}\n\n{table.summary(results, time.monotonic() - began)}")
    if not options.faults and not options.quick:
        table.write(results)
        print(f"Written to {table.PAGE.relative_to(ROOT)}.")
    return 0 if results and all(result.as_it_should for result in results) else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Break things, and count what is lost.")
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"which: {' '.join(FILES)}; all if none is named")
    parser.add_argument("--quick", action="store_true", help="everything in small, with the same count")
    parser.add_argument("--only-ours", action="store_true", help="without the systems that Livebell is compared with")
    parser.add_argument("--render", type=Path, metavar="FILE", help="run nothing: the table of the lines in this file")
    options = parser.parse_args()
    if unknown := [name for name in options.faults if name.upper() not in FILES]:
        parser.error(f"there is no fault {unknown[0]}; there are {' '.join(FILES)}")
    return options


def render(lines: Path) -> int:
    """Write the table of what an earlier run has printed."""
    results = [Result.parse(line) for line in lines.read_text().splitlines() if line.startswith('{"fault"')]
    table.write(results)
    print(table.text(results))
    return 0


def runs(fault: Fault, options: argparse.Namespace) -> list[str]:
    """Names of the runs of a fault."""
    return [run.name for run in choose(fault, None, quick=options.quick, ours=options.only_ours)]


def run(fault: Fault, options: argparse.Namespace) -> Iterator[Result]:
    """Results as they come; a run that has none has failed."""
    wanted = runs(fault, options)
    command = [sys.executable, "-m", "chaos.one", fault.name]
    command += [f"--{name}" for name, on in (("quick", options.quick), ("only-ours", options.only_ours)) if on]
    for result in lines(command):
        wanted.remove(result.variant)
        yield result
    for name in wanted:
        missing = Limit("runs that ended", 0, 1, least=True)
        yield Result(fault.name, name, limits=[missing])


def lines(command: Sequence[str]) -> Iterator[Result]:
    """Results that a command prints, until it ends or its time is over."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    killer = subprocess.Popen(["sh", "-c", f"sleep {SECONDS}; kill $0", str(process.pid)])
    try:
        assert process.stdout
        for line in process.stdout:
            yield Result.parse(line)
        process.wait()
    finally:
        for one in (killer, process):
            one.terminate()
            one.wait()
        if process.stdout:
            process.stdout.close()

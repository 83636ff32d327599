"""``python -m benchmarks``: measure Livebell beside the other designs. See ``docs/benchmarks/README.md``.

--quick            fewer rounds, a smaller stored set: under five minutes
--only broadcast   one question, or several, with commas; --peer Livebell does the same for contenders
--output FOLDER    where the result goes besides the screen; a whole run writes docs/benchmarks and the README's table
--render FILE      no run: tables and plots once more from a results.json
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.services.programs import MAY_INSTALL

from . import cores, report, tables
from .amounts import FULL, QUICK, reduced
from .machine import machine, versions
from .plan import plan, questions
from .progress import Progress
from .record import Record
from .stage import Stage

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "benchmarks"


def main() -> int:
    options = parse()
    if options.render:
        return finish(Record.load(options.render), options)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    os.environ[MAY_INSTALL] = "1"
    record = begin(options)
    steps = plan(QUICK if options.quick else FULL, options.only)
    if options.peer:
        steps = [step for step in steps if step.contender in options.peer]
    progress = Progress(len(steps))
    cores.stay_off()
    try:
        with Stage(record, progress, quick=options.quick) as stage:
            for step in steps:
                progress.step(step.title)
                stage.trying(step.contender, lambda step=step: step.run(stage, options.only))
    except KeyboardInterrupt:
        progress.say("Interrupted; everything is stopped.")
        return 130
    finally:
        progress.end()
    record.versions = versions()
    return finish(record, options)


def finish(record: Record, options: argparse.Namespace) -> int:
    report.show(record)
    if options.output:
        report.write(record, options.output)
        print(f"\nTables and plots are in {options.output}.")
    if options.output == DOCS:
        tables.write_readme(record, ROOT / "README.md")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure Livebell beside the other designs.")
    parser.add_argument("--quick", action="store_true", help="under five minutes")
    parser.add_argument("--only", default="", help=f"questions, with commas: {', '.join(sorted(questions()))}")
    parser.add_argument("--peer", action="append", default=[], help="a contender; may be given several times")
    parser.add_argument("--output", type=Path, help="folder for the result")
    parser.add_argument("--render", type=Path, help="a results.json to make tables and plots from")
    options = parser.parse_args()
    asked = frozenset(filter(None, options.only.split(",")))
    if unknown := asked - questions():
        parser.error(f"no question {sorted(unknown)[0]!r}; there are {', '.join(sorted(questions()))}")
    whole = not (asked or options.peer or options.quick or options.render)
    options.only = asked or questions()
    options.output = options.output or (DOCS if whole else None)
    return options


def begin(options: argparse.Namespace) -> Record:
    now = datetime.now(UTC).strftime("%Y-%m-%d")
    return Record(
        now, machine(), reduced=reduced() if options.quick else [], rounds=(QUICK if options.quick else FULL).rounds
    )


def interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())

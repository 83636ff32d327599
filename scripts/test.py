"""`make test`: style, types, the script's tests, and pytest on SQLite and on PostgreSQL.

    python scripts/test.py                            everything
    python scripts/test.py --only lint                ruff and mypy; also: js, sqlite, postgresql
    python scripts/test.py --only sqlite -- -k badge  what follows -- goes to pytest

Servers: REDIS_URL and DATABASE_URL if they are set, else instances of our own (see tests/services). A part that can't
be had is skipped with a loud line at the end; with CI=true it is a failure. Exits with 0 only if all the rest passed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
import pack  # noqa: E402  (beside this file)

from tests.services import PostgreSQL, Unavailable, chromium_path, node_path, redis_program  # noqa: E402
from tests.services.programs import MAY_INSTALL  # noqa: E402

CI = os.environ.get("CI") == "true"
PARTS = ("lint", "js", "sqlite", "postgresql")
NO_TESTS_COLLECTED = 5
T = TypeVar("T")


@dataclass
class Report:
    """What has been run, and what couldn't be."""

    lines: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    worst: int = 0

    def add(self, name: str, code: int, seconds: float) -> None:
        self.worst = max(self.worst, abs(code))
        self.lines.append(f"{name:<24}{'ok' if code == 0 else 'FAILED':<8}{seconds:6.1f} s")

    def lack(self, name: str, reason: Unavailable) -> None:
        self.missing[name] = str(reason)
        if CI:
            self.worst = max(self.worst, 1)

    def count(self, junit: Path) -> None:
        if not junit.exists():
            self.failed += 1
            return
        for suite in ET.parse(junit).getroot().iter("testsuite"):
            failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped = int(suite.get("skipped", 0))
            self.failed += failed
            self.skipped += skipped
            self.passed += int(suite.get("tests", 0)) - failed - skipped

    def show(self) -> None:
        title("Summary")
        for line in self.lines:
            print(line)
        for name, reason in self.missing.items():
            print(loud(f"NOT TESTED: everything that needs {name}: {reason}"))
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)


def main() -> int:
    options = parse()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    os.chdir(ROOT)
    os.environ[MAY_INSTALL] = "1"
    report = Report()
    parts = options.only or list(PARTS)
    try:
        with ExitStack() as stack:
            run_parts(parts, options.pytest, report, stack)
    except KeyboardInterrupt:
        report.worst = 130
        print("\nInterrupted; everything is stopped.")
    report.show()
    return min(report.worst, 255)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run Livebell's tests.")
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part; may be given several times")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    return parser.parse_args()


def interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def run_parts(parts: list[str], arguments: list[str], report: Report, stack: ExitStack) -> None:
    if "lint" in parts:
        lint(report)
    if "js" in parts:
        javascript(report)
    if {"sqlite", "postgresql"} & set(parts):
        have_postgresql = services(report, stack)
        del os.environ[MAY_INSTALL]  # what couldn't be had now is not tried again by every test
        if "sqlite" in parts:
            pytest("sqlite", [], arguments, report)
        if "postgresql" in parts and have_postgresql:
            pytest("postgresql", ["-m", "not browser"], arguments, report)


def lint(report: Report) -> None:
    count_step(report, "ruff check", sys.executable, "-m", "ruff", "check", ".")
    count_step(report, "ruff format", sys.executable, "-m", "ruff", "format", "--check", ".")
    count_step(report, "mypy", sys.executable, "-m", "mypy")


def javascript(report: Report) -> None:
    if had("esbuild", pack.esbuild, report):
        count_step(report, "packed scripts", sys.executable, "scripts/pack.py", "--check")
    count_step(report, "their size", sys.executable, "scripts/size.py")
    # named one by one: the directory itself is no argument that every Node.js understands
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "js").rglob("*.test.*js"))
    if not files:
        return
    if node := had("Node.js", node_path, report):
        count_step(report, "node --test", node, "--test", "--test-reporter=spec", *files)


def services(report: Report, stack: ExitStack) -> bool:
    """Find or install everything now, so that no test waits for it, and start a PostgreSQL; whether there is one."""
    had("Chromium", chromium_path, report)
    if not os.environ.get("REDIS_URL"):
        had("Redis", redis_program, report)
    if not os.environ.get("DATABASE_URL"):
        server = had("PostgreSQL", lambda: stack.enter_context(PostgreSQL()), report)
        if not server:
            return False
        os.environ["DATABASE_URL"] = server.create_database("livebell")
    return True


def had(name: str, get: Callable[[], T], report: Report) -> T | None:
    try:
        return get()
    except Unavailable as reason:
        report.lack(name, reason)
        return None


def pytest(database: str, extra: list[str], arguments: list[str], report: Report) -> None:
    with TemporaryDirectory() as directory:
        junit = Path(directory) / "junit.xml"
        command = [sys.executable, "-m", "pytest", *extra, f"--junitxml={junit}", *arguments]
        code = step(report, f"pytest on {database}", *command, LIVEBELL_TEST_DB=database)
        report.count(junit)
    if code == NO_TESTS_COLLECTED and not arguments:
        print(loud("pytest found no tests"))


def count_step(report: Report, name: str, *command: str) -> None:
    if step(report, name, *command):
        report.failed += 1
    else:
        report.passed += 1


def step(report: Report, name: str, *command: str, **environment: str) -> int:
    """Run one command. Ctrl-C reaches it with the whole process group: wait until it has cleaned up."""
    title(name)
    started = time.monotonic()
    process = subprocess.Popen(command, env=os.environ | environment, stdin=subprocess.DEVNULL)
    try:
        code = process.wait()
    except KeyboardInterrupt:
        end(process)
        raise
    report.add(name, code, time.monotonic() - started)
    return code


def end(process: subprocess.Popen[bytes]) -> None:
    for number, seconds in ((signal.SIGINT, 20), (signal.SIGTERM, 5), (signal.SIGKILL, None)):
        try:
            process.wait(timeout=0.5)
            return
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        try:
            process.wait(timeout=seconds)
            return
        except subprocess.TimeoutExpired:
            continue


def title(text: str) -> None:
    print(f"\n── {text} {'─' * (70 - len(text))}", flush=True)


def loud(text: str) -> str:
    return f"\033[1;31m{text}\033[0m" if sys.stdout.isatty() else f"!!! {text}"


if __name__ == "__main__":
    sys.exit(main())

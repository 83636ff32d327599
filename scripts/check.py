"""`make check`: style, types, the demo's deployment settings, and whether anything that we install has a known hole.

The audit asks the advisory service of the package index (pip-audit). Where that can't be reached nothing has been audited,
and a loud line says so; with CI_AUDIT=require that is a failure. Advisories that are found always are. Exits with 0 only if
all the rest is well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ("requirements/dev.txt", "requirements/audit.txt")
"""dev.txt includes demo.txt."""
AUDIT = ("pip_audit", "--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json")
LIMIT = 300


@dataclass
class Audit:
    """What is known of the packages."""

    found: list[str] = field(default_factory=list)
    asked: int = 0
    unknown: list[str] = field(default_factory=list)
    """Nobody could say; each with the reason."""

    def add(self, package: dict[str, Any]) -> None:
        """One line of the answer."""
        name = f"{package['name']} {package.get('version', '')}".strip()
        if "skip_reason" in package:
            self.unknown.append(f"{name}: {package['skip_reason']}")
            return
        self.asked += 1
        for hole in package["vulns"]:
            fixed = ", ".join(hole["fix_versions"]) or "no version yet"
            self.found.append(f"{name}: {hole['id']}, mended in {fixed}")


def main() -> int:
    os.chdir(ROOT)
    failed = [name for name, command in STEPS.items() if not passes(name, *command)]
    title("audit")
    known = audit()
    if report(known, required=os.environ.get("CI_AUDIT") == "require"):
        failed.append("audit")
    title("Summary")
    print(f"failed: {', '.join(failed)}" if failed else "all is well" + (", but NOT AUDITED" if known.unknown else ""))
    return int(bool(failed))


MANAGE = (sys.executable, "demo/manage.py")
STEPS = {
    "ruff check": (sys.executable, "-m", "ruff", "check", "."),
    "ruff format": (sys.executable, "-m", "ruff", "format", "--check", "."),
    "mypy": (sys.executable, "-m", "mypy"),
    "the demo, deployed": (*MANAGE, "check", "--deploy", "--database", "default", "--fail-level", "WARNING"),
}


def passes(name: str, *command: str) -> bool:
    title(name)
    return subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode == 0


def audit() -> Audit:
    known = Audit()
    for path in REQUIREMENTS:
        try:
            for package in ask(path):
                known.add(package)
        except (OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
            known.unknown.append(f"{path}: {str(error).splitlines()[-1]}")
    return known


def ask(path: str) -> list[dict[str, Any]]:
    """Raises ``ValueError`` if there is no answer."""
    command = [sys.executable, "-m", *AUDIT, "-r", path]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=LIMIT)
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        raise ValueError(done.stderr.strip() or "no answer") from None
    return packages


def report(known: Audit, *, required: bool) -> bool:
    """Say it; whether it is a failure."""
    print(f"{known.asked} packages asked about, {len(known.found)} advisories")
    for line in known.found:
        print(loud(line))
    if known.unknown:
        print(
            loud(
                f"NOT AUDITED: nobody could say anything about {len(known.unknown)} of them. First: {known.unknown[0]}"
            )
        )
        print(
            loud(
                "Run `make check` where the package index's advisories can be reached; CI_AUDIT=require insists on it."
            )
        )
    return bool(known.found) or (required and bool(known.unknown))


def title(text: str) -> None:
    print(f"\n── {text} {'─' * (70 - len(text))}", flush=True)


def loud(text: str) -> str:
    return f"\033[1;31m{text}\033[0m" if sys.stdout.isatty() else f"!!! {text}"


if __name__ == "__main__":
    sys.exit(main())

"""A Node.js for the tests of the script. Playwright's wheel carries one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from .programs import Unavailable, on_path

OLDEST = 20


def node_path() -> str:
    for path in (on_path("node", "nodejs"), carried()):
        if path and version(path) >= OLDEST:
            return str(path)
    raise Unavailable(f"no Node.js from {OLDEST} on")


def carried() -> Path | None:
    try:
        from playwright._impl._driver import compute_driver_executable
    except ImportError:
        return None
    return Path(compute_driver_executable()[0])


def version(path: Path) -> int:
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.match(r"v(\d+)", answer)
    return int(found.group(1)) if found else 0

"""What the programs share: a clock, the answer, the peak of memory."""

from __future__ import annotations

import json
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TEXT = "x" * 200
"""The title of every notification: 200 bytes."""


def timed(work: Callable[[], Any]) -> float:
    """Seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def median_ms(times: int, work: Callable[[], Any]) -> float:
    """Milliseconds: the median of so many times."""
    return 1e3 * statistics.median(timed(work) for _ in range(times))


def forget_peak() -> None:
    """Let the peak of memory begin anew."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """The most memory that this process has held since, in MB."""
    found = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())
    return int(found.group(1)) / 1e3 if found else 0.0


def answer(values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")


def run(program: Callable[..., Any]) -> None:
    """Set up Django, run the program with the numbers of the command line, print what it returns."""
    import django

    django.setup()
    answer(program(*map(int, sys.argv[1:])))

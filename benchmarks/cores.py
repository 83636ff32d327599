"""Which core does what, and what a process uses of it and of memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CORES = sorted(os.sched_getaffinity(0))
SERVER, REST = {CORES[0]}, set(CORES[1:]) or {CORES[0]}
"""The server under test has a core to itself; load client, publisher, Redis and PostgreSQL share what is left."""
TICK = os.sysconf("SC_CLK_TCK")


@contextmanager
def on_server_core() -> Iterator[None]:
    """What is started in this block, runs on the server's core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, SERVER)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def stay_off() -> None:
    """This process, and what it starts, leaves the server's core alone."""
    os.sched_setaffinity(0, REST)


def cpu_seconds(pid: int) -> float:
    """CPU time that a process and its children have used so far."""
    return sum(_cpu(one) for one in family(pid))


def memory(pid: int) -> int:
    """Bytes that a process and its children hold in memory (what they share, once: PSS)."""
    return sum(_memory(one) for one in family(pid))


def family(pid: int) -> list[int]:
    """A process, its children, and theirs."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += map(int, task.read_text().split())
    return found


def _cpu(pid: int) -> float:
    """To the nanosecond if the kernel says so; the ticks of ``stat`` are 10 ms."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except OSError:
            return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])) / TICK
    return total / 1e9


def _memory(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0

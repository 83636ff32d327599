"""A publisher's ledger: what it is about to publish, and what came of it; on the disk before it goes on.

One line of JSON each: ``["intent", key, seconds]``, then ``["ok" | "error" | "rolled_back", key, seconds, more]``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


class Pen:
    """Writes one ledger."""

    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def intent(self, key: str, to: str = "") -> None:
        """*to*: ``all``, or the number of a user."""
        self._write("intent", key, to)

    def ok(self, key: str, took: float) -> None:
        """*took*: seconds that the caller waited."""
        self._write("ok", key, round(took, 5))

    def error(self, key: str, error: BaseException, took: float) -> None:
        self._write("error", key, round(took, 5), type(error).__name__)

    def rolled_back(self, key: str) -> None:
        self._write("rolled_back", key)

    def _write(self, *what: object) -> None:
        what = (*what[:2], round(time.monotonic(), 4), *what[2:])
        os.write(self.file, json.dumps(what).encode() + b"\n")
        os.fdatasync(self.file)


@dataclass
class Ledger:
    """All ledgers of a run, read."""

    intents: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    """Key and error; such a one may be stored or not."""
    rolled_back: set[str] = field(default_factory=set)
    took: list[float] = field(default_factory=list)
    """Seconds that each acknowledged publish took its caller."""
    when: dict[str, float] = field(default_factory=dict)
    """When each was begun, on the machine's monotonic clock."""
    to: dict[str, str] = field(default_factory=dict)
    """Whom each was meant for."""
    waited: dict[str, float] = field(default_factory=dict)
    """Seconds that each took, whatever came of it."""


def read(paths: Iterable[Path]) -> Ledger:
    """Read ledgers; a last line that was cut off counts for nothing."""
    ledger = Ledger()
    for path in paths:
        for line in path.read_text().splitlines():
            try:
                enter(ledger, json.loads(line))
            except json.JSONDecodeError:
                continue
    return ledger


def enter(ledger: Ledger, line: list) -> None:
    """Take one line in."""
    what, key, moment, *more = line
    ledger.intents.add(key)
    ledger.when.setdefault(key, moment)
    if what == "intent":
        ledger.to[key] = "".join(more)
        return
    if what == "rolled_back":
        ledger.rolled_back.add(key)
    else:
        ledger.waited[key] = more[0]
        if what == "ok":
            ledger.acknowledged.add(key)
            ledger.took.append(more[0])
        else:
            ledger.failed[key] = more[1]

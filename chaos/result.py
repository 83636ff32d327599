"""What one run of one fault has shown: one JSON line, and whether that is what it should show."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any

ZEROES = ("lost", "doubled", "phantom", "disorder", "drift")
"""Counts that have to be 0."""


RAISED = "failed publishes"


@dataclass(frozen=True)
class Limit:
    """A figure and what it may be at the most (or, with ``least``, has to be at the least)."""

    name: str
    value: float
    limit: float
    least: bool = False

    @property
    def holds(self) -> bool:
        return self.value >= self.limit if self.least else self.value <= self.limit

    def __str__(self) -> str:
        sign = (">=" if self.least else "<=") if self.holds else ("<" if self.least else ">")
        return f"{self.name} {short(self.value)} {sign} {short(self.limit)}"


@dataclass
class Result:
    """One run. Times are in milliseconds, memory in bytes."""

    fault: str
    variant: str
    control: bool = False
    sent: int = 0
    committed: int = 0
    applied: int = 0
    lost: int = 0
    doubled: int = 0
    phantom: int = 0
    disorder: int = 0
    drift: int = 0
    p50: float = 0.0
    p99: float = 0.0
    worst: float = 0.0
    rss: int = 0
    seconds: float = 0.0
    limits: list[Limit] = field(default_factory=list)
    expects: Collection[str] = ()
    """Of a control: counts or limits, one of which has to be wrong."""
    peer: bool = False
    """Another system: its figures are shown, not judged."""
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def wrong(self) -> list[str]:
        """Counts that aren't 0, and limits that don't hold."""
        counts = [f"{name} {getattr(self, name)}" for name in ZEROES if getattr(self, name)]
        return counts + [str(limit) for limit in self.limits if not limit.holds]

    @property
    def wrong_names(self) -> set[str]:
        broken = {limit.name for limit in self.limits if not limit.holds}
        return {name for name in ZEROES if getattr(self, name)} | broken

    @property
    def _refused(self) -> list[str]:
        """Publishes that raised, of which a caller knows that nobody got them."""
        return [f"{limit.value:,.0f} publishes raised" for limit in self.limits if limit.name == RAISED and limit.value]

    @property
    def as_it_should(self) -> bool:
        """Ours has nothing wrong; a control fails in one of the ways it has to."""
        if self.peer:
            return True
        return bool(self.wrong_names & set(self.expects)) if self.control else not self.wrong

    @property
    def verdict(self) -> str:
        if self.peer:
            return "; ".join(self.wrong + self._refused) or "ok"
        if self.control:
            return "failed as it should" if self.as_it_should else "DID NOT FAIL"
        return "ok" if self.as_it_should else "FAILED"

    def limit(self, name: str, value: float, limit: float, *, least: bool = False) -> None:
        """Note a figure that has to stay within a limit."""
        self.limits.append(Limit(name, round(value, 3), limit, least))

    def line(self) -> str:
        """One line of JSON."""
        fields = {name: value for name, value in asdict(self).items() if name not in ("limits", "expects", "peer")}
        fields |= {"limits": [asdict(limit) for limit in self.limits], "expects": list(self.expects), "peer": self.peer}
        return json.dumps({**fields, "wrong": self.wrong, "verdict": self.verdict}, default=str)

    @classmethod
    def parse(cls, line: str) -> Result:
        """Read such a line."""
        fields = json.loads(line)
        del fields["wrong"], fields["verdict"]
        limits = [Limit(**limit) for limit in fields["limits"]]
        return cls(**{**fields, "limits": limits, "expects": tuple(fields["expects"])})


def short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def percentile(values: list[float], part: float) -> float:
    """The value below which *part* of them lie; 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else 0.0

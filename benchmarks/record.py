"""What a run has found: samples, and what they stood on. One JSON file; tables and plots are made from it."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Sample:
    """One measurement of one contender, in one round."""

    question: str
    peer: str
    values: dict[str, float]
    at: float = 0.0
    """Where on the growth curve: connections, or stored notifications."""


@dataclass(frozen=True)
class Figure:
    """The median of several samples, and the smallest and largest."""

    median: float
    low: float
    high: float


@dataclass
class Record:
    """All of a run."""

    date: str = ""
    machine: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    rounds: int = 0
    reduced: list[str] = field(default_factory=list)
    """What a quick run does less of."""
    missing: dict[str, str] = field(default_factory=dict)
    """Contenders that can't be had, or that failed, each with the reason."""
    samples: list[Sample] = field(default_factory=list)

    def add(self, question: str, peer: str, values: dict[str, float], at: float = 0.0) -> None:
        """Keep a measurement."""
        self.samples.append(Sample(question, peer, values, at))

    def of(self, question: str) -> list[Sample]:
        """The samples of a question, in the order they were taken."""
        return [sample for sample in self.samples if sample.question == question]

    def peers(self, question: str) -> list[str]:
        """Who was measured, in the order of their first turn."""
        return list(dict.fromkeys(sample.peer for sample in self.of(question)))

    def places(self, question: str, peer: str) -> list[float]:
        """Where on the growth curve there are samples."""
        return sorted({sample.at for sample in self.of(question) if sample.peer == peer})

    def figure(self, question: str, peer: str, value: str, at: float | None = None) -> Figure | None:
        """Median and spread of a value; None if it wasn't measured."""
        found = [
            sample.values[value]
            for sample in self.of(question)
            if sample.peer == peer and value in sample.values and at in (None, sample.at)
        ]
        return Figure(statistics.median(found), min(found), max(found)) if found else None

    def median(self, question: str, peer: str, value: str) -> float | None:
        """Median alone."""
        figure = self.figure(question, peer, value)
        return figure.median if figure else None

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Record:
        held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        held["samples"] = [Sample(**sample) for sample in held["samples"]]
        return cls(**held)

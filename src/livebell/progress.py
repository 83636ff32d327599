"""A bar for work that takes a while, on a terminal; silent anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from time import monotonic
from types import TracebackType
from typing import TextIO, TypeVar

T = TypeVar("T")

WIDTH = 24
DRAW_EVERY = 0.1
"""Seconds between two drawings."""


class Progress:
    """``with Progress("pruning", total=900) as bar: bar.add(10)``. Without a *total* it counts and shows no bar.

    *out*: where to draw, the terminal's standard error if nothing else is said. What isn't a terminal gets nothing.
    """

    def __init__(self, label: str, *, total: int | None = None, unit: str = "", out: TextIO | None = None) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0
        self._out = sys.stderr if out is None else out
        self._shown = self._out.isatty()
        self._began, self._drawn = monotonic(), 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self._draw()
        if self._shown:
            self._out.write("\n")

    def add(self, count: int = 1) -> None:
        """So many more are done."""
        self.set(self.done + count)

    def set(self, done: int) -> None:
        """So many are done in all."""
        self.done = done
        if monotonic() - self._drawn > DRAW_EVERY:
            self._draw()

    def of(self, items: Iterable[T]) -> Iterator[T]:
        """Iterate, counting."""
        for item in items:
            yield item
            self.add()

    def _draw(self) -> None:
        self._drawn = monotonic()
        if self._shown:
            self._out.write(f"\r{self.text}\x1b[K")
            self._out.flush()

    @property
    def text(self) -> str:
        """The line as it stands."""
        seconds = monotonic() - self._began
        counted = f"{self.done:,}" if self.total is None else f"{self.done:,} of {self.total:,}"
        line = f"{self.label}  {self._bar()}{counted} {self.unit}".rstrip() + f"  {seconds:.0f} s"
        if self.total and 0 < self.done < self.total:
            line += f", {seconds * (self.total - self.done) / self.done:.0f} s left"
        return line

    def _bar(self) -> str:
        if self.total is None:
            return ""
        filled = WIDTH if self.total == 0 else min(WIDTH, WIDTH * self.done // self.total)
        return f"[{'#' * filled}{'.' * (WIDTH - filled)}] "

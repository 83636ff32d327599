"""A progress bar on a terminal; elsewhere a line for each step."""

from __future__ import annotations

import sys
import time

WIDTH = 28


class Progress:
    """*total* steps; each says what it is when it begins."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.began = total, 0, time.monotonic()
        self.live = sys.stderr.isatty()

    def step(self, what: str) -> None:
        """The next step begins."""
        filled = WIDTH * self.done // max(self.total, 1)
        elapsed = time.monotonic() - self.began
        minutes = f"{int(elapsed) // 60}:{int(elapsed) % 60:02}"
        if self.live:
            bar = "█" * filled + "░" * (WIDTH - filled)
            self._write(f"\r\033[K{bar} {self.done}/{self.total} {minutes}  {what[:70]}")
        else:
            self._write(f"[{self.done + 1}/{self.total} {minutes}] {what}\n")
        self.done += 1

    def say(self, text: str) -> None:
        """A line that stays."""
        self._write(f"\r\033[K{text}\n" if self.live else f"{text}\n")

    def end(self) -> None:
        """Clear the bar."""
        if self.live:
            self._write("\r\033[K")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

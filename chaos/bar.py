"""A progress bar on the terminal, which stays below what is printed; on anything else, nothing."""

from __future__ import annotations

import sys
import threading
import time
from typing import Self

WIDTH = 24


class Bar:
    """``with Bar(12) as bar``: ``say`` what is under way, ``step`` when one is done, ``line`` to print."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.failed, self.text = total, 0, 0, ""
        self.began = time.monotonic()
        self.shown = sys.stderr.isatty()
        self._end = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        if self.shown:
            threading.Thread(target=self._tick, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._end.set()
        self._wipe()

    def say(self, text: str) -> None:
        self.text = text
        self._draw()

    def step(self, failed: bool = False) -> None:
        self.done += 1
        self.failed += failed
        self._draw()

    def line(self, text: str) -> None:
        self._wipe()
        print(text, flush=True)
        self._draw()

    def _tick(self) -> None:
        while not self._end.wait(1):
            self._draw()

    def _wipe(self) -> None:
        if self.shown:
            with self._lock:
                sys.stderr.write("\r\033[K")
                sys.stderr.flush()

    def _draw(self) -> None:
        if not self.shown or self._end.is_set():
            return
        full = WIDTH * self.done // max(self.total, 1)
        minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
        wrong = f", {self.failed} wrong" if self.failed else ""
        line = f"{'█' * full}{'░' * (WIDTH - full)} {self.done}/{self.total}{wrong} {minutes}:{seconds:02} {self.text}"
        with self._lock:
            sys.stderr.write(f"\r\033[K{line[:110]}")
            sys.stderr.flush()

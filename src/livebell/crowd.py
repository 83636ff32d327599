"""A crowd: many who come one after the other within moments, as after a deploy. Pure asyncio.

Whoever comes in the same moment shares queries. A storm of 1,400 connections a second is no moment: a query takes two
milliseconds, in which three of them come. So where a window of 50 ms has seen many, those of the next wait for its end.
"""

from __future__ import annotations

import asyncio

WINDOW = 0.05
"""Seconds that somebody in a crowd waits, at the most."""
MANY = 20
"""In one window; with fewer nobody waits."""


class Crowd:
    """``await crowd.gather()``: at once if few come; if many do, together with the others of this window."""

    def __init__(self) -> None:
        self._came = 0
        self._end = 0.0
        self._gate: asyncio.Future[None] | None = None

    async def gather(self) -> None:
        """Take part."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._end:
            self._begin(loop)
        self._came += 1
        if self._gate is not None:
            await asyncio.shield(self._gate)  # who leaves must not take the gate along

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        crowded = self._came > MANY and now < self._end + WINDOW
        self._came, self._end = 0, now + WINDOW
        self._gate = loop.create_future() if crowded else None
        if self._gate is not None:
            loop.call_at(self._end, self._gate.set_result, None)

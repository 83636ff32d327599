"""A crowd: many who come one after the other within moments, as after a deploy. Pure asyncio.

Whoever comes in the same moment shares queries. A storm of 1,400 connections a second is no moment: a query takes two
milliseconds, in which three of them come. So the first few of a window of 50 ms go on at once and the others wait for its
end; after such a window all of the next do.
"""

from __future__ import annotations

import asyncio

WINDOW = 0.05
"""Seconds that somebody in a crowd waits, at the most."""
MANY = 5
"""So many of a window don't wait; nobody does where no more come."""


class Crowd:
    """``await crowd.gather()``: at once if few come; if many do, together with the others of this window."""

    def __init__(self) -> None:
        self._came = 0
        self._end = 0.0
        self._crowded = False
        self._gate: asyncio.Future[None] | None = None

    async def gather(self) -> None:
        """Take part."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._end:
            self._crowded = self._came > MANY and loop.time() < self._end + WINDOW
            self._came, self._end, self._gate = 0, loop.time() + WINDOW, None
        self._came += 1
        if self._crowded or self._came > MANY:
            await asyncio.shield(self._open_at_the_end(loop))  # who leaves must not take the gate along

    def _open_at_the_end(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        if self._gate is None:
            self._gate = loop.create_future()
            loop.call_at(self._end, self._gate.set_result, None)
        return self._gate

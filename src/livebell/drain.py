"""The end of a process, in good order: everybody is told to come back, and when, so that they don't come at once.

Pure asyncio, over a hub. Nothing is lost by it: what a client has not been sent yet, it asks for where it arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import islice
from random import random

from .connection import Connection
from .hub import Hub
from .protocol import CloseCode

NOTICE = 1.0
"""Seconds from the moment at which nobody new is taken in to the first goodbye: what stands in front gets to know first."""
SLICE = 100
"""Connections that are closed between two moments at which the rest of the process gets its turn."""
IN_FLIGHT = 3.0
"""Seconds that sends which are under way are given to finish."""
LOOK_EVERY = 0.02


async def drain(hub: Hub) -> None:
    """Take nobody in any more, then close all connections, each with its own share of ``hub.spread`` milliseconds as the
    time to come back."""
    hub.draining = True
    if hub.connections and hub.spread:
        await asyncio.sleep(NOTICE)
    await _close_as_they_finish(hub)


async def _close_as_they_finish(hub: Hub) -> None:
    until = asyncio.get_running_loop().time() + IN_FLIGHT
    waits = shares(len(hub.connections), hub.spread)
    while hub.connections and asyncio.get_running_loop().time() < until:
        free = list(islice((c for c in hub.connections if not c.busy_since), SLICE))
        _close(hub, free, waits)
        await asyncio.sleep(0 if free else LOOK_EVERY)
    _close(hub, list(hub.connections), waits)


def shares(count: int, spread: int) -> Iterator[int]:
    """A time to come back for each of *count* clients, in milliseconds: one in each of *count* equal parts of *spread*."""
    for number in range(count):
        yield 1 + int(spread * (number + random()) / count)


def _close(hub: Hub, connections: Iterable[Connection], waits: Iterator[int]) -> None:
    for connection in connections:
        hub.leave(connection)
        connection.close(CloseCode.DRAIN, retry=next(waits))

"""Run a coroutine now, and only if it has to wait turn it into a task.

A server's ``send`` nearly always finishes without waiting. A task for each of 50,000 sends a second would cost more than
the sends. Python 3.12 has this built in; until 3.11 is no longer supported, it is done by hand.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any


def start(work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    """Run *work* until it waits. None if it is done; else the task that goes on with it. Raises what it raises."""
    if sys.version_info >= (3, 12):
        task = asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)
        if not task.done():
            return task
        task.result()
        return None
    if _suits(work):
        return _start_by_hand(work)
    return asyncio.get_running_loop().create_task(work)


PLAIN = ("uvicorn.", "daphne.")
"""Servers whose ``send`` asks nothing of the task it runs in. A timeout would cancel the task it began in: the hub's."""


def _suits(work: Coroutine[Any, Any, None]) -> bool:
    frame = getattr(work, "cr_frame", None)
    return frame is not None and frame.f_globals.get("__name__", "").startswith(PLAIN)


def _start_by_hand(work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    try:
        waits_for = work.send(None)
    except StopIteration:
        return None
    return asyncio.get_running_loop().create_task(_finish(_Rest(work, waits_for)))


async def _finish(rest: _Rest) -> None:
    await rest


class _Rest:
    """What is left of a coroutine that has begun: waits for what it waits for, and hands everything through to it."""

    def __init__(self, work: Coroutine[Any, Any, None], waits_for: Any) -> None:
        self.work, self.waits_for = work, waits_for

    def __await__(self) -> Generator[Any, Any, None]:
        while True:
            try:
                value = yield self.waits_for
            except BaseException as error:  # noqa: BLE001 (everything, cancellation too, is handed through)
                step = partial(self.work.throw, error)
            else:
                step = partial(self.work.send, value)
            try:
                self.waits_for = step()
            except StopIteration:
                return

"""Run a coroutine now, and only if it has to wait turn it into a task.

A server's ``send`` nearly always finishes without waiting. A task for each of 50,000 sends a second would cost more than
the sends. Python 3.12 has this built in; until 3.11 is no longer supported, it is done by hand.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any


def start(work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    """Run *work* until it waits. None if it is done; else the task that goes on with it. Raises what it raises."""
    if sys.version_info >= (3, 12):
        task = asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)
        if not task.done():
            return task
        task.result()
        return None
    return _start_by_hand(work)


def _start_by_hand(work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    try:
        waits_for = work.send(None)
    except StopIteration:
        return None
    return asyncio.get_running_loop().create_task(_go_on(work, waits_for))


@coroutine
def _resume(work: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """Wait for what *work* waits for, then hand everything through to it."""
    while True:
        try:
            value = yield waits_for
        except BaseException as error:  # noqa: BLE001 (everything, cancellation too, is handed through)
            step = lambda error=error: work.throw(error)  # noqa: E731
        else:
            step = lambda value=value: work.send(value)  # noqa: E731
        try:
            waits_for = step()
        except StopIteration:
            return


async def _go_on(work: Coroutine[Any, Any, None], waits_for: Any) -> None:
    await _resume(work, waits_for)  # type: ignore[no-untyped-call]  # what types.coroutine makes has no type

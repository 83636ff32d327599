"""The live side of one process, by itself."""

from __future__ import annotations

import asyncio
from threading import Barrier
from typing import Any

import pytest
from django.db import OperationalError, connection

from livebell import live, store
from livebell.live import WORKERS, Live
from tests.helpers import commits


async def test_a_position_check_that_failed_is_repeated_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not after nineteen times as long as the failure and the pause after it took (found by fault F22)."""
    monkeypatch.setattr(live, "SWEEP_EVERY", 0.2)
    asked: list[float] = []
    again = asyncio.Event()

    async def watch(function: Any, *given: Any) -> Any:
        asked.append(asyncio.get_running_loop().time())
        if len(asked) == 1:
            raise OperationalError
        again.set()
        await asyncio.get_running_loop().create_future()

    one = Live()
    monkeypatch.setattr(one, "_watch", watch)
    checking = asyncio.create_task(one._check())
    async with asyncio.timeout(10):
        await again.wait()
    checking.cancel()
    assert asked[1] - asked[0] < 2, "0.2 s of pause, and the next check 0.2 s later"


@commits
async def test_the_end_closes_the_connections_of_every_thread() -> None:
    """A server that starts and stops it many times, as tests do, leaves no session in the database."""
    together = Barrier(WORKERS)

    def used() -> Any:
        together.wait(5)
        store.epoch()
        return connection._connections[connection._alias]  # type: ignore[attr-defined]

    one = await Live.of_this_loop()
    opened = await asyncio.gather(*(one.db(used) for _ in range(WORKERS)))
    assert len({id(each) for each in opened}) == WORKERS
    assert all(each.connection is not None for each in opened)
    await one.stop()
    assert all(each.connection is None for each in opened)

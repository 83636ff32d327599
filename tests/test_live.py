"""The loops of the live side that need a clock."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.db import OperationalError

from livebell import live
from livebell.live import Live


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

"""Who comes in a crowd waits for the others; who comes alone waits for nobody."""

from __future__ import annotations

import asyncio

from livebell.crowd import MANY, WINDOW, Crowd


async def came(crowd: Crowd) -> float:
    await crowd.gather()
    return asyncio.get_running_loop().time()


async def test_a_few_do_not_wait() -> None:
    """Nor does the first window of a crowd: nobody knows yet that it is one."""
    crowd, began = Crowd(), asyncio.get_running_loop().time()
    for _ in range(MANY + 1):
        await crowd.gather()
    assert asyncio.get_running_loop().time() - began < WINDOW / 2


async def test_a_crowd_goes_in_together() -> None:
    """All of the second window at its end, and in one moment."""
    crowd = Crowd()
    for _ in range(MANY + 1):
        await crowd.gather()
    await asyncio.sleep(WINDOW)
    began = asyncio.get_running_loop().time()
    times = await asyncio.gather(*(came(crowd) for _ in range(100)))
    assert min(times) - began > WINDOW * 0.9
    assert max(times) - min(times) < WINDOW / 2


async def test_after_a_crowd_nobody_waits() -> None:
    """A quiet window, or none at all, ends it."""
    crowd = Crowd()
    for _ in range(MANY + 1):
        await crowd.gather()
    await asyncio.sleep(2 * WINDOW)
    began = asyncio.get_running_loop().time()
    await crowd.gather()
    assert asyncio.get_running_loop().time() - began < WINDOW / 2


async def test_who_leaves_takes_nobody_along() -> None:
    """One of the crowd is cancelled while it waits."""
    crowd = Crowd()
    for _ in range(MANY + 1):
        await crowd.gather()
    await asyncio.sleep(WINDOW)
    one, other = asyncio.create_task(came(crowd)), asyncio.create_task(came(crowd))
    await asyncio.sleep(0)
    one.cancel()
    assert await other > 0

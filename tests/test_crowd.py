"""Who comes in a crowd waits for the others; who comes alone waits for nobody."""

from __future__ import annotations

import asyncio

from livebell.crowd import MANY, WINDOW, Crowd


async def came(crowd: Crowd) -> float:
    await crowd.gather()
    return asyncio.get_running_loop().time()


async def crowded() -> Crowd:
    """One whose last window, which is just over, was one too many."""
    crowd = Crowd()
    await asyncio.gather(*(came(crowd) for _ in range(MANY + 1)))
    return crowd


async def test_a_few_do_not_wait() -> None:
    """Nor do the first few of a crowd."""
    crowd, began = Crowd(), asyncio.get_running_loop().time()
    for _ in range(MANY):
        await crowd.gather()
    assert asyncio.get_running_loop().time() - began < WINDOW / 2


async def test_the_others_go_in_together_at_the_end_of_the_window() -> None:
    """In one moment."""
    crowd, began = Crowd(), asyncio.get_running_loop().time()
    times = await asyncio.gather(*(came(crowd) for _ in range(100)))
    waited = [time - began for time in times]
    assert max(waited[:MANY]) < WINDOW / 2
    assert min(waited[MANY:]) > WINDOW * 0.9
    assert max(waited[MANY:]) - min(waited[MANY:]) < WINDOW / 2


async def test_after_such_a_window_all_of_the_next_wait() -> None:
    """A storm goes on."""
    crowd, began = await crowded(), asyncio.get_running_loop().time()
    times = await asyncio.gather(*(came(crowd) for _ in range(100)))
    assert min(times) - began > WINDOW * 0.9
    assert max(times) - min(times) < WINDOW / 2


async def test_after_a_crowd_nobody_waits() -> None:
    """A quiet window, or none at all, ends it."""
    crowd = await crowded()
    await asyncio.sleep(2 * WINDOW)
    began = asyncio.get_running_loop().time()
    await crowd.gather()
    assert asyncio.get_running_loop().time() - began < WINDOW / 2


async def test_who_leaves_takes_nobody_along() -> None:
    """One of the crowd is cancelled while it waits."""
    crowd = await crowded()
    one, other = asyncio.create_task(came(crowd)), asyncio.create_task(came(crowd))
    await asyncio.sleep(0)
    one.cancel()
    assert await other > 0

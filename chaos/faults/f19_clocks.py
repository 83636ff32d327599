"""F19: one publisher's clock is 75 s ahead, another's a day behind. Neither order nor delivery looks at clocks."""

from __future__ import annotations

import asyncio

from ..fault import Fault, Run
from ..result import Result
from ..rig import Publishing, Rig, in_thread
from ..stage import others, stage

CLOCKS = (0, 75, -86_400)
"""Seconds that each publisher's clock is wrong."""


async def run(rig: Rig, run: Run) -> Result:
    each = run.size(1000, 150, 100)
    async with stage(rig, run, clients=60) as scene:
        publishing = [await scene.publishers(1, count=each, rate=run.size(100, 50), clock=clock) for clock in CLOCKS]
        following = asyncio.create_task(in_thread(follow, publishing)) if run.control else None
        for one in publishing:
            one.go()
        for one in publishing:
            await one.done()
        result = await scene.result()
        result.limit("committed", result.committed, each * len(CLOCKS), least=True)
        if following:
            result.applied = await following
            result.lost = result.committed - result.applied
        return result


def follow(publishing: list[Publishing]) -> int:
    """How many notifications a reader finds that asks for what is younger than the youngest it has."""
    from livebell.models import Notification

    found, last, running = 0, None, True
    while running:
        running = any(one.running for one in publishing)
        rows = Notification.objects.order_by("created").values_list("created", flat=True)
        times = list(rows.filter(created__gt=last) if last else rows)
        found, last = found + len(times), times[-1] if times else last
    return found


FAULT = Fault(
    "F19",
    "a publisher's clock 75 s ahead, another's a day behind",
    run,
    (Run(), Run("followed by created > last", expects=("lost",)), *others()),
)

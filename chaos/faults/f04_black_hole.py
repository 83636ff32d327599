"""F4: the links to Redis swallow everything and say nothing. Noticed within 11 s, nothing later than 16 s."""

from __future__ import annotations

import asyncio
import time

from ..clients import until
from ..fault import Fault, Run
from ..result import Result, percentile
from ..rig import Rig
from ..scene import milli
from ..stage import others, stage

LOST = "bus: lost Redis"
"""What a server logs when it gives a link up."""


async def run(rig: Rig, run: Run) -> Result:
    hold, rate = run.size(60, 14, 16), run.size(25, 20)
    async with stage(rig, run, clients=run.size(100, 60), through_proxy=True) as scene:
        assert scene.redis
        assert scene.redis_out
        publishing = await scene.publishers(count=rate * hold, rate=rate)
        began = time.monotonic()
        scene.redis.hole()
        scene.redis_out.hole()
        publishing.go()
        noticed = await until(lambda: all(LOST in one.said for one in scene.servers), hold, "noticed", strict=False)
        took = time.monotonic() - began
        await asyncio.sleep(max(0.0, began + hold - time.monotonic()))
        if run.control:  # while the hole is still there
            await publishing.done()
            result = await scene.result(settle=2, left=False)
        else:
            scene.redis.heal()
            scene.redis_out.heal()
            await publishing.done()
            result = await scene.result()
        result.limit("noticed after s", took if noticed else 999, 11)
        result.limit("worst delay ms", result.worst, 16_000)
        result.limit("publisher p99 ms", milli(percentile(list(scene.ledger().waited.values()), 0.99)), 300)
        result.notes["held s"] = hold
        return result


FAULT = Fault(
    "F4",
    "links to Redis black-holed for 60 s",
    run,
    (Run(), Run("without probe and position check", "probe,position_check", ("lost",)), *others()),
)

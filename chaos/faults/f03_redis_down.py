"""F3: Redis is down for 30 s. Publishing goes on undisturbed, what is published arrives within three seconds."""

from __future__ import annotations

import asyncio

from ..fault import Fault, Run
from ..ledger import Ledger
from ..result import Result, percentile
from ..rig import Rig
from ..scene import milli
from ..stage import others, stage


async def run(rig: Rig, run: Run) -> Result:
    down, rate = run.size(30, 6, 6), run.size(100, 60, 30)
    before, after = 5, run.size(10, 5, 0)
    assert rig.redis
    async with stage(rig, run, clients=run.size(100, 60)) as scene:
        publishing = await scene.publishers(count=rate * (before + down + after), rate=rate)
        publishing.go()
        await asyncio.sleep(before)
        began = asyncio.get_running_loop().time()
        await asyncio.to_thread(rig.redis.stop, kill=True)
        await asyncio.sleep(down)
        ended = asyncio.get_running_loop().time()
        if run.without == "position_check":  # what comes later must not bring with it what was missed
            await publishing.done()
        await asyncio.to_thread(rig.redis.start)
        await publishing.done()
        result = await scene.result(settle=4 if run.control else 60)
        quiet, loud = waits(scene.ledger(), began, ended)
        result.limit("publisher p99 +ms", milli(percentile(loud, 0.99) - percentile(quiet, 0.99)), 300)
        result.limit("worst delay ms", result.worst, 3000)
        result.notes |= {"down s": down, "published while down": len(loud)}
        return result


def waits(ledger: Ledger, began: float, ended: float) -> tuple[list[float], list[float]]:
    """Seconds that publishers waited, before and during the outage."""
    during = [took for key, took in ledger.waited.items() if began <= ledger.when[key] <= ended]
    return [took for key, took in ledger.waited.items() if ledger.when[key] + took < began], during


FAULT = Fault(
    "F3",
    "Redis down for 30 s",
    run,
    (
        Run(),
        Run("without the position check", "position_check", ("lost",)),
        Run("with the client's default timeouts", "short_timeouts", ("publisher p99 +ms",)),
        *others(),
    ),
)

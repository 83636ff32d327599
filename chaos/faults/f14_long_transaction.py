"""F14: a caller's transaction with a publish in it stays open for 30 s. Nobody else who publishes to that user waits."""

from __future__ import annotations

import asyncio

from ..fault import Fault, Run
from ..result import Result, percentile
from ..rig import Rig
from ..scene import Scene, milli


async def run(rig: Rig, run: Run) -> Result:
    held, rate = run.size(30, 4, 3), 60
    async with Scene(rig, run, clients=1, groups=0) as scene:
        holding = await scene.publishers(1, count=1, ways={"hold": 1}, think=held)
        others = await scene.publishers(1, count=rate * held, rate=rate, ways={"atomic": 0.5, "plain": 0.5})
        holding.go()
        await asyncio.sleep(0.3)
        others.go()
        await others.done()
        await holding.done()
        result = await scene.result()
        waited = [took for key, took in scene.ledger().waited.items() if key.startswith("p1")]
        result.limit("publish p99 ms", milli(percentile(waited, 0.99)), 20)
        result.notes["held s"] = held
        return result


FAULT = Fault(
    "F14",
    "a caller's transaction open for 30 s",
    run,
    (Run(), Run("numbered inside the transaction", "numbering_after_commit", ("publish p99 ms",))),
)

"""F1: ``kill -9`` of a live process, every five seconds. Clients go elsewhere and go on from their cursor."""

from __future__ import annotations

import asyncio

from ..clients import Rules
from ..fault import Fault, Run
from ..result import Result, percentile
from ..rig import Rig
from ..scene import milli
from ..stage import others, stage


async def run(rig: Rig, run: Run) -> Result:
    kills, rate = run.size(12, 2, 2), run.size(200, 100, 100)
    clients = run.size(500, 150, 100)
    async with stage(rig, run, clients=clients, rules=run.more.get("rules")) as scene:
        publishing = await scene.publishers(count=rate * 5 * kills, rate=rate)
        publishing.go()
        for number in range(kills):
            await asyncio.sleep(2.5)
            victim = scene.servers[number % 2]
            await asyncio.to_thread(victim.stop, kill=True)
            restart = asyncio.create_task(asyncio.to_thread(victim.start))
            await asyncio.sleep(2.5)
            await restart
        await publishing.done()
        result = await scene.result()
        result.limit("p99 gap s", percentile(scene.crowd.gaps, 0.99), 5.0)
        result.limit("gaps seen", len(scene.crowd.gaps), clients * kills // 4, least=True)
        result.notes |= {"kills": kills, "median gap ms": milli(percentile(scene.crowd.gaps, 0.5))}
        return result


FAULT = Fault(
    "F1",
    "kill -9 of a live process every 5 s",
    run,
    (Run(), Run("without the cursor", expects=("lost",), more={"rules": Rules(resume=False)}), *others()),
)

"""F2: a rolling restart, SIGTERM to one process after the other, under load."""

from __future__ import annotations

import asyncio
import signal

from ..clients import Rules
from ..fault import Fault, Run
from ..result import Result, percentile
from ..rig import Rig
from ..scene import Scene, milli


async def run(rig: Rig, run: Run) -> Result:
    clients, rate = run.size(200, 80, 60), run.size(60, 40)
    async with Scene(rig, run, clients=clients, rules=run.more.get("rules")) as scene:
        publishing = await scene.publishers(count=rate * 26, rate=rate)
        publishing.go()
        for one in scene.servers:
            await asyncio.sleep(2)
            one.signal(signal.SIGTERM)
            await asyncio.to_thread(one.process.wait, 30)
            one.stop()
            await asyncio.to_thread(one.start)
            await asyncio.sleep(9)
        await publishing.done()
        result = await scene.result()
        result.limit("cut off by SIGTERM", sum(bool(tab.codes) for tab in scene.crowd.tabs), clients // 2, least=True)
        result.notes |= {
            "codes": sorted({code for tab in scene.crowd.tabs for code in tab.codes}),
            "p99 gap ms": milli(percentile(scene.crowd.gaps, 0.99)),
        }
        return result


FAULT = Fault(
    "F2",
    "rolling restart, SIGTERM",
    run,
    (Run(), Run("without the cursor", expects=("lost",), more={"rules": Rules(resume=False)}, small=False)),
)

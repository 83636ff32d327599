"""F9: five thousand sockets are cut at the same moment, and notifications go on. All are back, with the right number, within
15 s, and never more than 50 operations wait in the database."""

from __future__ import annotations

import asyncio

from ..clients import until
from ..fault import Fault, Run
from ..result import Result, percentile
from ..rig import Rig, in_thread
from ..scene import Scene, milli
from .f08_database_down import backends


async def run(rig: Rig, run: Run) -> Result:
    clients, count = run.size(5000, 400, 600), run.size(1000, 200)
    async with Scene(rig, run, clients=clients, groups=20, at_once=250) as scene:
        publishing = await scene.publishers(
            1, count=count, rate=500, audiences={"user": 0.97, "group": 0.02, "all": 0.01}
        )
        publishing.go()
        await asyncio.sleep(0.2)
        watching = asyncio.create_task(watch(rig))
        for tab in scene.crowd.tabs:
            tab.cut()
        back = await until(lambda: len(scene.crowd.gaps) >= clients, 60, "back", strict=False)
        watching.cancel()
        await publishing.done()
        result = await scene.result()
        result.limit("all back after s", max(scene.crowd.gaps) if back else 999, 15)
        result.limit("database connections at once", await watching_ended(watching), 50)
        result.notes |= {"median back ms": milli(percentile(scene.crowd.gaps, 0.5)), "connects": scene.crowd.connects}
        return result


MOST: list[int] = []


async def watch(rig: Rig) -> None:
    """How many connections there are; no operation without one."""
    MOST.clear()
    while True:
        MOST.append(await in_thread(backends, rig))
        await asyncio.sleep(0.1)


async def watching_ended(watching: asyncio.Task[None]) -> int:
    await asyncio.gather(watching, return_exceptions=True)
    return max(MOST, default=0)


FAULT = Fault(
    "F9",
    "reconnect storm of 5,000",
    run,
    (Run(), Run("without admission", "admission", ("database connections at once", "all back after s"))),
)

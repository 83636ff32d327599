"""F26: clients of today with a server of tomorrow, and the other way round. What one doesn't know, it passes over."""

from __future__ import annotations

import asyncio

from ..clients import Rules
from ..fault import Fault, Run
from ..result import Result
from ..rig import Rig
from ..scene import Scene


async def run(rig: Rig, run: Run) -> Result:
    async with Scene(rig, run, clients=40, groups=4, rules=run.more.get("rules")) as scene:
        publishing = await scene.publishers(1, count=200, rate=50)
        publishing.go()
        await publishing.done()
        await asyncio.sleep(1.5)
        closes = sum(len(tab.codes) for tab in scene.crowd.tabs)
        result = await scene.result()
        result.limit("connections closed", closes, 0)
        return result


FAULT = Fault(
    "F26",
    "old client with new server, new client with old server",
    run,
    (
        Run("livebell, newer server", "present"),
        Run("livebell, newer client", more={"rules": Rules(newer=True)}),
        Run("a client that takes offence", "present", ("connections closed",), {"rules": Rules(tolerant=False)}),
    ),
)

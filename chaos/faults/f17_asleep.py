"""F17: a laptop sleeps for eight hours and misses 1,200 changes. Two frames and two seconds after it wakes, all is right."""

from __future__ import annotations

import asyncio

from ..clients import until
from ..fault import Fault, Run
from ..result import Result
from ..rig import Rig
from ..scene import Scene


async def run(rig: Rig, run: Run) -> Result:
    clients = run.size(50, 20, 20)
    async with Scene(rig, run, clients=clients, groups=0, users=clients + 1) as scene:
        for tab in scene.crowd.tabs:
            assert tab.link is not None
            tab.link.transport.pause_reading()
        await scene.publish(1, count=1200, audiences={"all": 1})
        frames = {tab: tab.frames for tab in scene.crowd.tabs}
        for tab in scene.crowd.tabs:  # the clock of the page has moved on by eight hours, its timer looks at it
            tab.heard(-8 * 3600)
            tab.check()
        await until(lambda: len(scene.crowd.gaps) >= clients, 30, "back", strict=False)
        await asyncio.sleep(1)
        result = await scene.result(resets_allowed=True)
        result.limit("all right after s", max(scene.crowd.gaps, default=999), 2)
        result.limit("frames", max(tab.frames - before for tab, before in frames.items()), 3)
        return result


FAULT = Fault(
    "F17",
    "asleep for 8 h, 1,200 changes missed",
    run,
    (Run(), Run("sent everything it missed", "reset_when_far", ("frames", "all right after s"))),
)

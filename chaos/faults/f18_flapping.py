"""F18: the clients' network breaks every three seconds. The backoff starts over only after three good seconds, so that they
don't hammer at the door; nothing is lost."""

from __future__ import annotations

import asyncio

from ..clients import Rules
from ..fault import Fault, Run
from ..proxy import Proxy
from ..result import Result
from ..rig import Rig
from ..scene import Scene

A_MINUTE = 12
"""Connects of one client that are acceptable: 60 in five minutes."""


async def run(rig: Rig, run: Run) -> Result:
    flaps, rate, clients = run.size(20, 6, 6), 20, 100
    async with (
        Scene(rig, run, clients=clients, servers=1, rules=run.more.get("rules")) as scene,
        Proxy(scene.servers[0].port) as proxy,
    ):
        scene.crowd.targets = [proxy.port]
        for tab in scene.crowd.tabs:
            tab.cut()
        publishing = await scene.publishers(count=rate * 3 * flaps, rate=rate)
        publishing.go()
        before = scene.crowd.connects
        for _ in range(flaps):
            await asyncio.sleep(3)
            proxy.reset()
        connects = scene.crowd.connects - before
        await publishing.done()
        result = await scene.result()
        result.limit("connects of a client a minute", connects / clients / (flaps * 3 / 60), A_MINUTE)
        return result


FAULT = Fault(
    "F18",
    "the network flaps every 3 s",
    run,
    (
        Run(small=False),
        Run(
            "starting over at each connect",
            expects=("connects of a client a minute",),
            more={"rules": Rules(stable=0)},
            small=False,
        ),
    ),
)

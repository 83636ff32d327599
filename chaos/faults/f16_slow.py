"""F16: a thousand readers that don't read. They cost little, are closed, resume; who reads notices nothing."""

from __future__ import annotations

import asyncio

from ..clients import Tab
from ..fault import Fault, Run
from ..result import Result
from ..rig import Rig, Vitals
from ..scene import Scene
from ..stage import others, stage

SEND_BUFFER = 32_768
"""Bytes that the kernel takes for each socket, so that it doesn't read megabytes in the client's place."""
SIZE, RATE = 8_000, 4
"""Characters of each notification, and how many of them everybody gets a second; each on the own stream, because frames of a
shared stream would lie in memory only once."""


async def run(rig: Rig, run: Run) -> Result:
    slow, count = run.size(1000, 100, 100), 80
    options = {"ws": ws} if (ws := run.more.get("ws")) else {}
    async with stage(
        rig, run, clients=30, users=30 + slow, groups=0, servers=1, send_buffer=SEND_BUFFER, **options
    ) as scene:
        healthy = list(scene.crowd.tabs)
        sleepers = await asleep(scene, slow)
        server = Vitals(scene.servers[0].pid)
        before = server.rss
        await scene.publish(1, count=count, rate=RATE, many=30 + slow, size=SIZE)
        most = server.rss
        codes = await dropped(scene, sleepers)
        for tab in sleepers:
            wake(tab)
        result = await scene.result(tabs=healthy, left=False)
        result.limit("kB for each slow reader", (most - before) / slow / 1000, 300)
        result.limit("healthy p99 ms", result.p99, 500)
        result.limit("slow ones dropped", codes, slow if not run.control else 0, least=True)
        return result


async def asleep(scene: Scene, number: int) -> list[Tab]:
    """Clients that connect, and then stop reading."""
    scene.crowd.receive_buffer = 4096
    await scene.crowd.open(scene.people.who[scene.clients :][:number])
    sleepers = scene.crowd.tabs[scene.clients :]
    scene.crowd.receive_buffer = 0
    for tab in sleepers:
        assert tab.link is not None
        tab.link.transport.pause_reading()
    return sleepers


async def dropped(scene: Scene, sleepers: list[Tab]) -> int:
    """How many the hub has given up 16 s after the last notification at the latest."""
    connected = len(scene.crowd.tabs)
    for _ in range(32 if not scene.run.control else 1):
        connected = await scene.connected()
        if connected <= scene.clients:
            break
        await asyncio.sleep(0.5)
    return len(scene.crowd.tabs) - connected


def wake(tab: Tab) -> None:
    """Read on. What the server said goodbye to is found out then."""
    if tab.link is not None and not tab.link.transport.is_closing():
        tab.link.transport.resume_reading()


FAULT = Fault(
    "F16",
    "a thousand readers that don't read",
    run,
    (
        Run(),
        Run("livebell on uvicorn's websockets-sansio", more={"ws": "websockets-sansio"}, small=False),
        Run("without back pressure", "back_pressure", ("kB for each slow reader",)),
        *others(),
    ),
)

"""F6: Redis loses all it holds, and is restarted empty. Nothing of ours is there, but for a layer's membership."""

from __future__ import annotations

import asyncio

import redis

from ..fault import Fault, Run
from ..result import Result
from ..rig import Rig
from ..scene import Scene


async def run(rig: Rig, run: Run) -> Result:
    times, rate = run.size(3, 2), 40
    assert rig.redis
    async with Scene(rig, run, clients=60, bus=run.more.get("bus", "redis")) as scene:
        publishing = await scene.publishers(count=rate * 3 * (times + 1), rate=rate)
        publishing.go()
        with redis.Redis.from_url(rig.redis.url) as client:
            for _ in range(times):
                await asyncio.sleep(3)
                await asyncio.to_thread(client.flushall)
        if not run.control:
            await asyncio.to_thread(rig.redis.stop, kill=True)
            await asyncio.to_thread(rig.redis.start)
        await publishing.done()
        return await scene.result(settle=3 if run.control else 60)


FAULT = Fault(
    "F6",
    "FLUSHALL, and a restart without data",
    run,
    (
        Run(),
        Run("livebell over channels_redis.core", more={"bus": "core"}),
        Run("over core, without rejoining and position check", "rejoin,position_check", ("lost",), {"bus": "core"}),
    ),
)

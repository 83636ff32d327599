"""``make soak``: half an hour of random faults, and the same count at the end.

    MINUTES=30 SEED=1 python -m chaos.soak

Two servers: one is killed and restarted again and again, the other lives through all else: the witness for memory.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random, randrange

import redis

from . import table
from .clients import delays
from .fault import Run
from .result import Result, percentile, short
from .rig import Rig, Vitals
from .scene import Scene, milli

RATE, CLIENTS = 140, 100
WAYS = {"plain": 0.7, "atomic": 0.2, "rollback": 0.05, "savepoint": 0.02, "exception": 0.03}
MARKS = {"reads_all": 0.3, "reads_some": 0.7}
PAUSE = (4.0, 16.0)
"""Seconds between two faults, at the least and at the most."""
WARM_UP = 0.2
"""Part of the time after which memory has to be flat."""
FLAT = 5.0
"""Per cent by which it may differ, from the first fifth after that to the last."""


async def killed(scene: Scene, random: Random) -> None:
    """``kill -9`` of the server that isn't the witness."""
    victim = scene.servers[1]
    await asyncio.to_thread(victim.stop, kill=True)
    await asyncio.to_thread(victim.start)


async def restarted(scene: Scene, random: Random) -> None:
    """SIGTERM, and up again."""
    victim = scene.servers[1]
    victim.signal(signal.SIGTERM)
    await asyncio.to_thread(victim.process.wait, 40)
    victim.stop()
    await asyncio.to_thread(victim.start)


async def redis_down(scene: Scene, random: Random) -> None:
    """Redis gone for a while."""
    assert scene.rig.redis
    await asyncio.to_thread(scene.rig.redis.stop, kill=True)
    await asyncio.sleep(random.uniform(1, 8))
    await asyncio.to_thread(scene.rig.redis.start)


async def redis_swallowed(scene: Scene, random: Random) -> None:
    """The links to Redis swallow everything, in one direction or both."""
    assert scene.redis
    assert scene.redis_out
    for proxy in (scene.redis, scene.redis_out):
        proxy.hole(random.choice([{"up", "down"}, {"up"}, {"down"}]))
    await asyncio.sleep(random.uniform(2, 14))
    for proxy in (scene.redis, scene.redis_out):
        proxy.heal()


async def redis_slow(scene: Scene, random: Random) -> None:
    """The links to Redis take their time."""
    assert scene.redis
    scene.redis.delay = random.uniform(0.05, 1.0)
    await asyncio.sleep(random.uniform(2, 8))
    scene.redis.heal()


async def redis_emptied(scene: Scene, random: Random) -> None:
    """FLUSHALL."""
    assert scene.rig.redis
    with redis.Redis.from_url(scene.rig.redis.url) as client:
        client.flushall()


async def database_restarted(scene: Scene, random: Random) -> None:
    """The database gone for a few seconds."""
    assert scene.rig.postgresql
    await asyncio.to_thread(scene.rig.postgresql.stop)
    await asyncio.sleep(random.uniform(0, 3))
    await asyncio.to_thread(scene.rig.postgresql.start)


async def clients_cut(scene: Scene, random: Random) -> None:
    """Some clients, or all, lose their links at once."""
    for tab in random.sample(scene.crowd.tabs, random.randint(1, len(scene.crowd.tabs))):
        if tab.link is not None:
            tab.cut()


async def clients_asleep(scene: Scene, random: Random) -> None:
    """Some clients don't read for a while."""
    asleep = [tab.link for tab in random.sample(scene.crowd.tabs, 10) if tab.link is not None]
    for link in asleep:
        link.transport.pause_reading()
    await asyncio.sleep(random.uniform(1, 12))
    for link in asleep:
        if not link.transport.is_closing():
            link.transport.resume_reading()


Blow = Callable[[Scene, Random], Awaitable[None]]
FAULTS: tuple[Blow, ...] = (
    killed, restarted, redis_down, redis_swallowed, redis_slow, redis_emptied, database_restarted, clients_cut,
    clients_asleep,
)  # fmt: skip


class Soak:
    """One soak."""

    def __init__(self, scene: Scene, minutes: float, seed: int) -> None:
        self.scene, self.seconds, self.random = scene, minutes * 60, Random(seed)
        self.began = time.monotonic()
        self.blows: Counter[str] = Counter()
        self.memory: list[tuple[float, int]] = []
        """Of the witness: seconds since the beginning, and bytes."""
        self._told = 0

    async def run(self) -> None:
        """Until the time is over, and everything is whole again."""
        minutely = asyncio.create_task(self._every_minute())
        while self._age < self.seconds:
            await asyncio.sleep(self.random.uniform(*PAUSE))
            blow = self.random.choice(FAULTS)
            self.blows[blow.__name__] += 1
            await blow(self.scene, self.random)
        minutely.cancel()

    @property
    def _age(self) -> float:
        return time.monotonic() - self.began

    async def _every_minute(self) -> None:
        told = 0
        while True:
            await asyncio.sleep(1)
            if (pid := self.scene.servers[0].pid) is not None:
                self.memory.append((self._age, Vitals(pid).rss))
            if self._age >= 60 * (told + 1):
                told += 1
                self._say(told)

    def _say(self, minute: int) -> None:
        every = delays(self.scene.crowd.tabs)
        fresh, self._told = len(every) - self._told, len(every)
        times = f"p50 {milli(percentile(every, 0.5))} ms  p99 {milli(percentile(every, 0.99))} ms"
        memory = f"memory {self.memory[-1][1] / 1e6:.1f} MB"
        print(
            f"minute {minute:3}  applied {len(every):9,} (+{fresh:,})  {times}  {memory}  faults {self.blows.total()}",
            flush=True,
        )

    @property
    def growth(self) -> float:
        """Per cent from the first fifth after the warm-up to the last."""
        after = [rss for age, rss in self.memory if age >= self.seconds * WARM_UP]
        fifth = max(len(after) // 5, 1)
        first, last = sum(after[:fifth]) / fifth, sum(after[-fifth:]) / fifth
        return 100 * (last - first) / first


async def soak(rig: Rig, minutes: float, seed: int) -> tuple[Result, Soak]:
    """Load, faults, and the count."""
    async with Scene(rig, Run(fault="soak"), clients=CLIENTS, through_proxy=True) as scene:
        count = int(RATE * minutes * 60)
        publishing = await scene.publishers(2, count=count, rate=RATE, ways=WAYS, think=0.005, seed=seed)
        marking = await scene.publishers(1, count=int(5 * minutes * 60), rate=5, ways=MARKS, seed=seed)
        running = Soak(scene, minutes, seed)
        publishing.go()
        marking.go()
        await running.run()
        for one in (publishing, marking):
            await one.done(minutes * 60)
        result = await scene.result(errors=float("inf"))
        result.limit("memory % from warm-up to end", abs(running.growth), FLAT)
        result.limit("notifications", result.committed, 6000 * minutes if minutes < 30 else 200_000, least=True)
        result.notes |= {"minutes": minutes, "seed": seed, "faults": dict(running.blows)}
        result.notes["refused"] = len(scene.ledger().failed)
        return result, running


def markdown(result: Result) -> str:
    """For the page."""
    notes = result.notes
    faults = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in sorted(notes["faults"].items()))
    memory = next(limit.value for limit in result.limits if limit.name.startswith("memory"))
    return "\n".join([
        table.markdown([result]),
        "",
        f"{short(notes['minutes'])} minutes, seed {notes['seed']}, {result.notes['clients']} clients, {result.committed:,} "
        f"notifications stored, {notes['refused']} publishes refused while the database was down. Memory of the server that "
        f"lived through it, from warm-up to end: {memory:.1f} %. Faults: {faults}.",
    ])  # fmt: skip


def main() -> int:
    minutes = float(os.environ.get("MINUTES", "30"))
    seed = int(os.environ.get("SEED") or randrange(10**6))
    print(f"{short(minutes)} minutes of random faults. SEED={seed} repeats them.", flush=True)
    with Rig("postgresql") as rig:
        rig.prepare()
        result, _ = asyncio.run(soak(rig, minutes, seed))
    print(f"{result.line()}\n\n{table.text([result])}\n\n{'; '.join(map(str, result.limits))}")
    if minutes >= 30:
        table.put("soak", markdown(result))
        print(f"Written to {table.PAGE.relative_to(Path.cwd())}.")
    return 0 if result.as_it_should else 1


if __name__ == "__main__":
    sys.exit(main())

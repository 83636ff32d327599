"""F8: the database is down for 30 s. Publishing fails and says so; sockets stay; nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio

from ..fault import Fault, Run
from ..result import Result
from ..rig import NAME, Rig, in_thread
from ..scene import Scene


async def run(rig: Rig, run: Run) -> Result:
    down, rate = run.size(30, 5, 4), 50
    assert rig.postgresql
    async with Scene(rig, run, clients=100) as scene:
        publishing = await scene.publishers(count=rate * (down + 10), rate=rate)
        publishing.go()
        await asyncio.sleep(3)
        await asyncio.to_thread(rig.postgresql.stop)
        await asyncio.sleep(down)
        await asyncio.to_thread(rig.postgresql.start)
        most = 0
        for _ in range(30):
            await asyncio.sleep(0.1)
            most = max(most, await in_thread(backends, rig))
        await publishing.done()
        dropped = sum(len(tab.codes) for tab in scene.crowd.tabs)
        result = await scene.result(settle=5 if run.control else 60, errors=float("inf"))
        result.limit("sockets dropped", dropped, 0)
        result.limit("database connections", most, 30)
        result.limit("publishes refused", len(scene.ledger().failed), rate * down // 2, least=True)
        return result


def backends(rig: Rig) -> int:
    """Connections to the run's database."""
    question = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{NAME}' AND backend_type = 'client backend'"
    return rig.sql(question)[0][0]


FAULT = Fault(
    "F8",
    "the database down for 30 s",
    run,
    (Run(), Run("keeping broken connections", "reconnect", ("lost", "drift"))),
)

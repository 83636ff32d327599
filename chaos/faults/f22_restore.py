"""F22: the database is restored from a backup while fifty clients are connected. What the backup doesn't hold leaves
every page."""

from __future__ import annotations

import time

from ..fault import Fault, Run
from ..result import Result
from ..rig import NAME, Rig, in_thread
from ..scene import Scene

BACKUP = "chaos_backup"


async def run(rig: Rig, run: Run) -> Result:
    async with Scene(rig, run, clients=50) as scene:
        await scene.publish(1, count=200, rate=100)
        await scene.settle()
        await in_thread(copy, rig, NAME, BACKUP)
        before = scene.ledger().intents
        await scene.publish(1, count=200, rate=100)
        await scene.settle()
        scene.forgotten = scene.ledger().intents - before
        await in_thread(copy, rig, BACKUP, NAME)
        began = time.monotonic()
        right = await scene.settle(6 if run.control else 30)
        took = time.monotonic() - began
        ghosts = sum(
            one.get("title") in scene.forgotten for tab in scene.crowd.tabs for one in tab.client.items.values()
        )
        if not run.control:
            await scene.publish(1, count=100, rate=100)
        result = await scene.result(settle=1 if run.control else 60, resets_allowed=True)
        result.limit("ghosts", ghosts, 0)
        result.limit("every badge right after s", took if right else 999, 20)
        return result


def copy(rig: Rig, source: str, target: str) -> None:
    """Make *target* a copy of *source*. Whoever is connected to either is thrown out, as by a restore."""
    gone = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{source}'"
    rig.sql(f"DROP DATABASE IF EXISTS {target} WITH (FORCE)", f"ALTER DATABASE {source} ALLOW_CONNECTIONS false", gone)
    rig.sql(f"CREATE DATABASE {target} TEMPLATE {source}", f"ALTER DATABASE {source} ALLOW_CONNECTIONS true")


FAULT = Fault(
    "F22",
    "the database restored from a backup",
    run,
    (Run(), Run("nobody told of the new epoch", "new_epoch", ("ghosts", "drift"))),
)

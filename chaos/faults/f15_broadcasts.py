"""F15: six publishers broadcast to overlapping sets of 2,000, in any order. Streams are locked by name: no deadlock."""

from __future__ import annotations

from ..fault import Fault, Run
from ..result import Result
from ..rig import NAME, Rig, in_thread
from ..scene import Scene


async def run(rig: Rig, run: Run) -> Result:
    each, many = run.size(6, 3, 2), run.size(2000, 400, 500)
    async with Scene(rig, run, clients=60, users=many * 3 // 2, groups=0) as scene:
        await in_thread(rig.sql, f"ALTER DATABASE {NAME} SET deadlock_timeout = '100ms'")  # don't look for one so long
        await scene.publish(6, count=6 * each, many=many)
        result = await scene.result(errors=float("inf") if run.control else 0)
        question = f"SELECT deadlocks FROM pg_stat_database WHERE datname = '{NAME}'"
        result.limit("deadlocks", (await in_thread(rig.sql, "SELECT pg_sleep(1)", question))[0][0], 0)
        result.notes["recipients"] = many
        return result


FAULT = Fault(
    "F15",
    "overlapping broadcasts",
    run,
    (Run(), Run("locked in the caller's order", "lock_order", ("deadlocks",))),
)

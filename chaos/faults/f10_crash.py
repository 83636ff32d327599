"""F10: the publisher commits and dies: before numbering, in the middle of it, before anybody is told, or right after."""

from __future__ import annotations

from ..fault import Fault, Run
from ..result import Result
from ..rig import Rig
from ..stage import others, stage


async def run(rig: Rig, run: Run) -> Result:
    count = run.size(1000, 80, 60)
    async with stage(rig, run, clients=40, groups=4) as scene:
        await scene.publish(count=count, rate=run.size(40, 20), ways={"crash": 1})
        result = await scene.result(settle=6 if run.control else 60)
        result.limit("committed", result.committed, count if not run.control else 0, least=True)
        result.limit("p99 ms", result.p99, 4000)
        return result


FAULT = Fault(
    "F10",
    "a publisher dies right after its commit",
    run,
    (
        Run(),
        Run("without the sweeper", "sweeper", ("lost", "drift")),
        Run("without the position check", "position_check", ("lost",)),
        *others(),
    ),
)

"""F12: the same keys, raced by eight publishers. Each stands in the log once."""

from __future__ import annotations

from ..fault import Fault, Run
from ..result import Result
from ..rig import Rig
from ..scene import Scene


async def run(rig: Rig, run: Run) -> Result:
    keys = run.size(1000, 80, 40)
    async with Scene(rig, run, clients=60, groups=6) as scene:
        await scene.publish(8, count=keys, keys="k")
        result = await scene.result(settle=5 if run.control else 60)
        result.limit("committed", result.committed, keys, least=True)
        result.notes["calls"] = 8 * keys
        return result


FAULT = Fault("F12", "the same key raced by eight", run, (Run(), Run("without the key", "key", ("doubled",))))

"""F7: of ten hints one is lost, one comes twice, one late and out of order. Nobody notices."""

from __future__ import annotations

from ..fault import Fault, Run
from ..result import Result
from ..rig import Rig
from ..scene import Scene


async def run(rig: Rig, run: Run) -> Result:
    rate = run.size(400, 200)
    count = run.size(20_000, 1500, 1500)
    async with Scene(rig, run, clients=run.size(200, 100), bus="chaos.bus.Unreliable") as scene:
        await scene.publish(count=count, rate=rate)
        result = await scene.result(settle=4 if run.control else 60)
        result.limit("worst delay ms", result.worst, 16_000)
        return result


FAULT = Fault(
    "F7",
    "hints lost, doubled and reordered, 10 % each",
    run,
    (Run(), Run("without the position check", "position_check", ("lost",))),
)

"""F11: published, then rolled back: the transaction, a savepoint, or a view that fails. Nobody ever hears of it."""

from __future__ import annotations

from ..fault import Fault, Run
from ..result import Result
from ..rig import Rig
from ..scene import Scene

WAYS = {"plain": 0.4, "atomic": 0.4, "rollback": 0.08, "savepoint": 0.06, "exception": 0.06}


async def run(rig: Rig, run: Run) -> Result:
    count = run.size(5000, 600, 200)
    async with Scene(rig, run, clients=60, groups=6) as scene:
        await scene.publish(count=count, rate=run.size(300, 200), ways=WAYS, think=0.005)
        result = await scene.result(settle=3 if run.control else 60)
        rolled_back = len(scene.ledger().rolled_back)
        result.limit("rolled back", rolled_back, count // 8, least=True)
        return result


FAULT = Fault(
    "F11",
    "rolled back: transaction, savepoint, failing view",
    run,
    (Run(), Run("published outside the caller's transaction", "own_transaction", ("phantom",))),
)

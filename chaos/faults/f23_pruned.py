"""F23: the log is pruned behind a reader that is away. When it returns it is told to start over."""

from __future__ import annotations

from ..fault import Fault, Run
from ..result import Result
from ..rig import Rig, in_thread
from ..scene import Scene, stored


async def run(rig: Rig, run: Run) -> Result:
    clients = 40
    async with Scene(rig, run, clients=clients, groups=4) as scene:
        await scene.publish(1, count=100, rate=200)
        await scene.settle()
        away = scene.crowd.tabs[: clients // 2]
        for tab in away:
            tab.go()
        await scene.publish(1, count=400, rate=200)
        before = await in_thread(keys)
        await in_thread(prune)
        scene.forgotten = before - await in_thread(keys)
        for tab in away:
            tab.come()
        result = await scene.result(settle=5 if run.control else 60, resets_allowed=True)
        resets = sum(len(tab.client.set) - 1 for tab in away)
        result.limit("told to start over", resets, len(away), least=True)
        return result


def keys() -> set[str]:
    return {row.key for row in stored()}


def prune() -> None:
    """Leave the newest entry of each stream."""
    from livebell import api, store

    for _ in api.prune(store.Limits(keep=1)):
        pass


FAULT = Fault(
    "F23",
    "pruned behind a reader",
    run,
    (Run(), Run("without the floor", "floor", ("told to start over", "disorder"))),
)

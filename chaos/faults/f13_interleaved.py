"""F13: sixteen writers whose transactions commit out of order. Numbers are taken after the commit, so nobody is passed over;
a reader that follows an autoincrement by ``id > last`` passes over many."""

from __future__ import annotations

import asyncio

from ..fault import Fault, Run
from ..result import Result
from ..rig import Publishing, Rig, in_thread
from ..scene import Scene


async def run(rig: Rig, run: Run) -> Result:
    writers, each = run.size(16, 8), run.size(400, 60, 100)
    async with Scene(rig, run, clients=8, groups=0) as scene:
        publishing = await scene.publishers(writers, count=writers * each, ways={"atomic": 1}, think=0.004)
        if run.control:
            return await followed_by_id(scene, publishing)
        publishing.go()
        await publishing.done()
        result = await scene.result()
        result.limit("committed", result.committed, writers * each, least=True)
        return result


async def followed_by_id(scene: Scene, publishing: Publishing) -> Result:
    """The control's reader, instead of the clients."""
    following = asyncio.create_task(in_thread(follow, publishing))
    publishing.go()
    found = await following
    result = await scene.result()
    result.applied, result.lost = found, result.committed - found
    return result


def follow(publishing: Publishing) -> int:
    """How many notifications a reader finds that asks for ``id > last`` as often as it can."""
    from livebell.models import Notification

    found = last = 0
    running = True
    while running:
        running = publishing.running
        ids = list(Notification.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True))
        found, last = found + len(ids), max(ids, default=last)
    return found


FAULT = Fault(
    "F13",
    "sixteen writers, commits out of order",
    run,
    (Run(), Run("followed by id > last", expects=("lost",))),
)

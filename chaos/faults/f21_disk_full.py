"""F21: the disk of the database is full. Publishing raises, nothing is half written, sockets live. With room again it
goes on, without a restart."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from ..fault import Fault, Run
from ..result import Result
from ..rig import Rig
from ..scene import Scene

PLENTY = 1_000_000


async def run(rig: Rig, run: Run) -> Result:
    pages = rig.directory / "pages"
    put(pages, PLENTY)
    os.environ["CHAOS_PAGES"] = str(pages)
    rate = 40
    off = f"{run.without},room".strip(",")
    async with Scene(rig, run, clients=40, groups=4, servers=1, bus="database") as scene:
        publishing = await scene.publishers(
            count=rate * 12, rate=rate, size=4000, reconnects=True, without=off, ways={"plain": 0.5, "atomic": 0.5}
        )
        publishing.go()
        await asyncio.sleep(3)
        put(pages, 1)  # SQLite reads it as: not one page more than there are
        await asyncio.sleep(4)
        put(pages, PLENTY)
        await publishing.done()
        dropped = sum(len(tab.codes) for tab in scene.crowd.tabs)
        if run.control:  # a caller who takes every call for a success
            scene.believed = True
        result = await scene.result(errors=float("inf"))
        failed = scene.ledger().failed
        result.limit("publishes refused", len(failed), rate, least=True)
        result.limit("sockets dropped", dropped, 0)
        return result


def put(path: Path, pages: int) -> None:
    """In one step: others read it at any time."""
    new = path.with_suffix(".new")
    new.write_text(str(pages))
    new.replace(path)


FAULT = Fault(
    "F21",
    "the database's disk is full",
    run,
    (Run(), Run("a caller who passes over the error", expects=("lost",))),
    database="sqlite",
    redis=False,
)

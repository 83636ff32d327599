"""F27 and F28: several tabs of each user, marking some or all, taking back, while notifications come in. In the
end every tab shows the database's number."""

from __future__ import annotations

from ..clients import Rules
from ..fault import Fault, Run
from ..result import Result
from ..rig import Rig
from ..scene import Scene


async def run(rig: Rig, run: Run) -> Result:
    users, tabs = 20, run.size(5, 3, 3)
    seconds = run.size(15, 4, 3)
    async with Scene(rig, run, clients=users, groups=2, rules=run.more.get("rules")) as scene:
        await scene.crowd.open(scene.people.who * (tabs - 1))
        publishing = await scene.publishers(2, count=100 * seconds, rate=100)
        marking = await scene.publishers(2, count=60 * seconds, rate=60, ways=WAYS)
        for one in (publishing, marking):
            one.go()
        for one in (publishing, marking):
            await one.done()
        result = await scene.result(settle=4 if run.control else 60)
        result.notes["tabs"] = users * tabs
        return result


WAYS = {"reads_all": 0.5, "reads_some": 0.4, "retracts": 0.1}
FAULT = Fault(
    "F27",
    "tabs racing: read, all read, taken back, new (and F28)",
    run,
    (Run(), Run("a badge that adds one for each message", expects=("drift",), more={"rules": Rules(counts=False)})),
)

"""F29: gunicorn loads the application, which has published already, and then forks four workers. Each speaks for itself."""

from __future__ import annotations

import asyncio
import http.client
from pathlib import Path

from ..fault import Fault, Run
from ..ledger import Pen
from ..pages import Workers
from ..result import Result
from ..rig import Rig
from ..scene import Scene

THREADS = 8


async def run(rig: Rig, run: Run) -> Result:
    each = run.size(500, 50, 50)
    async with Scene(rig, run, clients=40, groups=0, bus=run.more["bus"], without="") as scene:
        with await asyncio.to_thread(Workers, scene.environment(run.without), scene.people.users[0]) as workers:
            paths = [rig.ledger() for _ in range(THREADS)]
            Pen(first := rig.ledger()).ok("before-the-fork", 0)
            scene.add_ledgers([first, *paths])
            users = scene.people.users
            await asyncio.gather(
                *(asyncio.to_thread(send, workers.port, path, users, number, each) for number, path in enumerate(paths))
            )
        result = await scene.result()
        result.limit("p99 ms", result.p99, 700)
        return result


def send(port: int, path: Path, users: list[int], number: int, count: int) -> None:
    """One client of the workers: asks for one publish after the other, and keeps the ledger."""
    pen = Pen(path)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for n in range(count):
        key = f"w{number}-{n}"
        pen.intent(key)
        try:
            connection.request("POST", f"/{users[(n + number) % len(users)]}/{key}")
            answer = connection.getresponse()
            took = float(answer.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            pen.error(key, error, 0)
            connection.close()
        else:
            pen.ok(key, took)


FAULT = Fault(
    "F29",
    "workers forked after the first publish",
    run,
    (
        Run(more={"bus": "redis"}),
        Run("livebell over channels_redis.core", more={"bus": "core"}),
        Run("over core, without noticing the fork", "fork", ("p99 ms",), {"bus": "core"}),
    ),
)

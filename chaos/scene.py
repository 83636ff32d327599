"""A run from the beginning to the count: servers, a crowd, publishers, and in the middle whatever the fault does to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import httpx

from tests.site import environment

from . import ledger
from .clients import Crowd, Rules, Tab, delays, until
from .count import Count, Row, count, key_in
from .fault import Run
from .proxy import Proxy
from .publisher import Plan
from .result import RAISED, Result, percentile
from .rig import People, Publishing, Rig, Vitals, in_thread, shares
from .server import Server

MIX = {"user": 0.9, "group": 0.09, "all": 0.01}
"""Audiences of an ordinary day."""


class Scene:
    """Everything of one run. ``async with`` it; break things; ``await scene.result(...)``."""

    def __init__(
        self,
        rig: Rig,
        run: Run,
        *,
        clients: int = 100,
        users: int = 0,
        groups: int = 10,
        servers: int = 2,
        bus: str = "redis",
        rules: Rules | None = None,
        through_proxy: bool = False,
        receive_buffer: int = 0,
        without: str | None = None,
        at_once: int = 50,
        **site: Any,
    ) -> None:
        self.rig, self.run = rig, run
        self.clients, self.users, self.groups = clients, users or clients, groups
        self.rules, self.receive_buffer = rules or Rules(), receive_buffer
        self.through_proxy, self.bus = through_proxy, bus
        self.without = run.without if without is None else without
        self.wanted, self.at_once, self.options = servers, at_once, site
        self.redis: Proxy | None = None
        """Between Redis and the servers, if asked for; ``redis_out`` between Redis and the publishers."""
        self.redis_out: Proxy | None = None
        self.forgotten: set[str] = set()
        """Keys that a restored backup doesn't hold."""
        self.believed = False
        """Whether the caller takes what failed for done."""
        self.servers: list[Server] = []
        self.people: People
        self.crowd: Crowd
        self.began = time.monotonic()
        self._publishing: list[Publishing] = []
        self._ledgers: list[Path] = []
        self._base: dict[int, dict[str, int]] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._build()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def _build(self) -> None:
        self.people = await in_thread(self.rig.fresh, self.users, self.groups)
        if self.through_proxy and self.rig.redis:
            self.redis = await self._stack.enter_async_context(Proxy(self.rig.redis.port))
            self.redis_out = await self._stack.enter_async_context(Proxy(self.rig.redis.port))
        self.servers = [
            Server(**self.chosen(self.redis), without=self.without, **self.options) for _ in range(self.wanted)
        ]
        for one in self.servers:
            self._stack.callback(one.close)
        await asyncio.gather(*(asyncio.to_thread(one.start) for one in self.servers))
        self._base = {one.port: await vitals(one) for one in self.servers}
        self.crowd = Crowd([one.port for one in self.servers], rules=self.rules, receive_buffer=self.receive_buffer)
        self._stack.push_async_callback(self.crowd.close)
        await self.crowd.open(self.people.who[: self.clients], at_once=self.at_once)

    def chosen(self, proxy: Proxy | None) -> dict[str, Any]:
        """The bus of this run's processes."""
        if not self.rig.redis:
            return {"bus": self.bus}
        url = f"redis://127.0.0.1:{proxy.port if proxy else self.rig.redis.port}/0"
        if self.bus in ("core", "pubsub"):
            return {"bus": "channel-layer", "layer": self.bus, "redis": url}
        return {"bus": self.bus, "redis": url, "LAYER_PUBLISH": False}

    def environment(self, without: str | None = None, clock: float = 0) -> dict[str, str]:
        """What a publisher of this run needs to know."""
        off = self.without if without is None else without
        return {**environment(**self.chosen(self.redis_out)), "CHAOS_WITHOUT": off, "CHAOS_CLOCK": str(clock)}

    # Publishers.

    async def publishers(
        self, number: int = 2, *, without: str | None = None, clock: float = 0, **plan: Any
    ) -> Publishing:
        """Start publishers, ready to ``go``."""
        given = {"name": f"p{len(self._ledgers)}.", "users": self.people.users, "groups": self.people.groups, **plan}
        plans = shares(
            Plan(**{"ledger": "", "audiences": MIX if self.groups else {"user": 1.0}, **given}), number, self.rig.ledger
        )
        self._ledgers += [Path(plan.ledger) for plan in plans]
        publishing = Publishing(plans, self.environment(without, clock))
        self._publishing.append(publishing)
        self._stack.callback(publishing.close)
        return await publishing.ready()

    async def publish(self, number: int = 2, **plan: Any) -> None:
        """Publish all of a plan."""
        publishing = await self.publishers(number, **plan)
        publishing.go()
        await publishing.done()

    def add_ledgers(self, paths: Sequence[Path]) -> None:
        """Count these too."""
        self._ledgers += paths

    def ledger(self) -> ledger.Ledger:
        """What all publishers of this run have written."""
        book = ledger.read(path for path in self._ledgers if path.exists())
        book.acknowledged -= self.forgotten
        if self.believed:
            book.acknowledged |= book.failed.keys()
        return book

    # The end.

    async def settle(self, seconds: float = 60) -> bool:
        """Wait until the outbox is empty and every client stands where the database does; False if that doesn't come."""
        deadline = time.monotonic() + seconds
        readers = sorted({int(tab.reader) for tab in self.crowd.tabs})
        while not self._level(await in_thread(truth, readers)):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.25)
        return True

    def _level(self, standings: dict[str, Any]) -> bool:
        if not standings:  # the outbox isn't empty
            return False
        for tab in self.crowd.tabs:
            if tab.client.snapshot is None or tab.reader not in standings:
                return False
            snapshot = standings[tab.reader].snapshot
            if tab.client.cursor != snapshot.at or tab.client.badge != snapshot.unread:
                return False
        return True

    async def count(self, *, resets_allowed: bool = False) -> Count:
        """Hold everything against each other."""
        rows = await in_thread(stored)
        standings = await in_thread(truth, self.people.users, outbox=False)
        unread = {reader: standing.snapshot.unread for reader, standing in standings.items()}
        seen = [tab.seen for tab in self.crowd.tabs]
        return count(self.ledger(), rows, seen, unread, resets_allowed=resets_allowed)

    async def result(
        self,
        *,
        settle: float = 60,
        resets_allowed: bool = False,
        left: bool = True,
        errors: float = 0,
        tabs: Sequence[Tab] | None = None,
    ) -> Result:
        """Settle, count, clean up, and say so. *left*: also look whether the servers are back to where they began.
        *errors*: how many publishes may fail. *tabs*: those whose delays are of interest."""
        await self.settle(settle)
        counted = await self.count(resets_allowed=resets_allowed)
        rss = max((Vitals(one.pid).rss for one in self.servers if one.pid), default=0)
        result = self._result(counted, delays(self.crowd.tabs if tabs is None else tabs), rss)
        failed = self.ledger().failed
        result.limit(RAISED, len(failed), errors if not self.run.peer else float("inf"))
        result.notes |= {"errors": sorted(set(failed.values()))} if failed else {}
        await self.crowd.close()
        if left:
            result.limit("left over", await self._left_over(), 0)
        result.seconds = round(time.monotonic() - self.began, 1)
        return result

    def _result(self, counted: Count, waited: list[float], rss: int) -> Result:
        result = Result(
            fault=self.run.fault, variant=self.run.name, control=self.run.control,
            peer=self.run.peer, expects=self.run.expects,
            sent=counted.sent, committed=counted.committed, applied=counted.applied, lost=counted.lost,
            doubled=counted.doubled, phantom=counted.phantom, disorder=counted.disorder, drift=counted.drift,
            p50=milli(percentile(waited, 0.5)), p99=milli(percentile(waited, 0.99)),
            worst=milli(max(waited, default=0)), rss=rss,
        )  # fmt: skip
        result.notes["clients"] = len(self.crowd.tabs)
        result.notes["resets"] = counted.resets
        return result

    async def connected(self) -> int:
        """How many connections the servers have."""
        return sum([(await vitals(one))["connections"] for one in self.servers])

    async def _left_over(self) -> int:
        """Connections, streams, tasks and descriptors that a server still has though every client has gone."""
        left = 0
        for one in self.servers:
            if one.pid:
                for _ in range(50):
                    if not (over := excess(await vitals(one), self._base[one.port])):
                        break
                    await asyncio.sleep(0.1)
                left += over
        return left


async def vitals(one: Server) -> dict[str, int]:
    """Of a server: tasks, connections, streams, descriptors."""
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{one.url}/chaos/", timeout=10)
    return {**answer.json(), "descriptors": Vitals(one.pid).descriptors}


def excess(now: dict[str, int], base: dict[str, int]) -> int:
    """A few descriptors are no leak: pools of connections open and close as they like."""
    tasks, descriptors = now["tasks"] - base["tasks"], now["descriptors"] - base["descriptors"] - 12
    return now["connections"] + now["streams"] + max(tasks, 0) + max(descriptors, 0)


def stored() -> list[Row]:
    """Every entry in the database."""
    from livebell.models import Entry

    columns = ("stream__name", "seq", "retracts", "notification_id", "notification__data")
    return [
        Row(name, seq, "" if retracts else key_in(data), notification)
        for name, seq, retracts, notification, data in Entry.objects.values_list(*columns).iterator()
    ]


def truth(users: list[int], *, outbox: bool = True) -> dict[str, Any]:
    """The standing of each user; nothing while something waits in the outbox."""
    from livebell import store
    from livebell.models import Outbox

    if outbox and Outbox.objects.exists():
        return {}
    found: dict[str, Any] = {}
    for start in range(0, len(users), 500):
        found |= store.standings({str(pk): () for pk in users[start : start + 500]})
    return found


def milli(seconds: float) -> float:
    return round(seconds * 1000, 1)


__all__ = ["MIX", "Scene", "milli", "stored", "truth", "until"]

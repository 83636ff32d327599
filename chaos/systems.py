"""The other systems, broken and counted as Livebell is: the same faults, publishers and figures.

A channel layer and an event stream have no unread number and no log that says what a client should have. So each client is
held to what its user was sent by publishes that were acknowledged, and its badge is the seed's: one more for each message.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx

from peers.eventstream.peer import EventStream
from peers.peer import Peer
from peers.seed.peer import Seed

from .clients import Crowd, Tab
from .count import Applied, Count
from .ledger import Ledger
from .proxy import Proxy
from .rig import People, in_thread
from .scene import Scene
from .wire import connect

SYSTEMS: dict[str, Callable[..., Peer]] = {
    "Channels tutorial, core": lambda **given: SeedServer(layer="core", **given),
    "Channels tutorial, pubsub": lambda **given: SeedServer(layer="pubsub", **given),
    "django-eventstream": lambda **given: EventStreamServer(storage="database", **given),
}
DATABASE = "chaos_peer"


class Answering:
    """Ready when it answers, also after a restart."""

    said = ""

    def answers(self) -> bool:
        try:
            httpx.get(f"http://127.0.0.1:{self.port}/none/", timeout=2)  # type: ignore[attr-defined]
        except httpx.HTTPError:
            return False
        return True


class SeedServer(Answering, Seed):
    """The tutorials' consumer."""

    publish_module = "peers.seed.publish"


class EventStreamServer(Answering, EventStream):
    """django-eventstream with its log in the database, so that it can repair a stream."""

    publish_module = "peers.eventstream.publish"


class PeerTab(Tab):
    """A page of a system without snapshots: it is level when it is connected."""

    def opened(self) -> None:
        self._since = self._heard = time.monotonic()
        self.client.snapshot = {}
        if self._broke:
            self.gaps.append(time.monotonic() - self._broke)
            self._broke = 0.0

    def check(self) -> None:
        """These servers promise no ping."""

    def frame(self, text: bytes) -> None:
        self.frames += 1
        self.take_text(json.loads(text)["message"])

    def take_text(self, text: str) -> None:
        said = json.loads(text)
        delay = time.monotonic() - said["t"]
        self.client.log.append(Applied("", "peer", len(self.client.log) + 1, said["k"], delay))

    async def _link(self, port: int, headers: dict[str, str]) -> Any:
        return await connect(
            self, port, self.crowd.path, headers, receive_buffer=self.crowd.receive_buffer, subprotocol=""
        )


class StreamTab(PeerTab):
    """The same over an event stream, which the browser opens again with the id of the last event."""

    last = ""

    async def _link(self, port: int, headers: dict[str, str]) -> Any:
        more = {**headers, **({"Last-Event-ID": self.last} if self.last else {})}
        link = StreamLink(self, self.crowd.path, more, port)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            await loop.create_connection(lambda: link, "127.0.0.1", port)
        return link


class StreamLink(asyncio.Protocol):
    """A request for an event stream, read as a browser reads it."""

    def __init__(self, tab: StreamTab, path: str, headers: dict[str, str], port: int) -> None:
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Accept: text/event-stream"]
        lines += [f"{name}: {value}" for name, value in headers.items() if name != "Origin"]
        self.tab, self.request = tab, "\r\n".join([*lines, "", ""])
        self.gone, self.open, self.rest = False, False, b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request.encode())

    def data_received(self, data: bytes) -> None:
        """Events end with an empty line. The sizes of chunks stand on lines of their own, which are no fields."""
        self.rest += data
        *events, self.rest = self.rest.replace(b"\r\n", b"\n").split(b"\n\n")
        for event in events:
            self.event(dict(line.split(": ", 1) for line in event.decode().split("\n") if ": " in line))

    def event(self, fields: dict[str, str]) -> None:
        if fields.get("event") == "stream-open":
            self.open = True
            self.tab.opened()
        if "id" in fields:
            self.tab.last = fields["id"]
        if fields.get("event") == "message" and "data" in fields:
            self.tab.take_text(json.loads(fields["data"])["text"])

    def connection_lost(self, error: Exception | None) -> None:
        if not self.gone:
            self.gone = True
            self.tab.lost(1006)

    def abort(self) -> None:
        self.gone = True
        self.transport.abort()


class PeerScene(Scene):
    """A scene with another system in it."""

    async def _build(self) -> None:
        self.system = SYSTEMS[self.run.more["system"]]
        assert self.rig.redis
        assert self.rig.postgresql
        await in_thread(self.rig.fresh, 1)
        database = self.rig.postgresql.url_of(DATABASE)
        await in_thread(self.rig.sql, f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)", f"CREATE DATABASE {DATABASE}")
        if self.through_proxy:
            self.redis = await self._stack.enter_async_context(Proxy(self.rig.redis.port))
            self.redis_out = await self._stack.enter_async_context(Proxy(self.rig.redis.port))
        where = self._url(self.redis)
        self.servers = [self.system(redis=where, database=database) for _ in range(self.wanted)]  # type: ignore[misc]
        for one in self.servers:
            self._stack.callback(one.close)
        logins = await asyncio.to_thread(self.servers[0].logins, self.users)  # type: ignore[attr-defined]
        self.people = People([one.pk for one in logins], [one.cookie for one in logins], [])
        await asyncio.gather(*(asyncio.to_thread(one.start) for one in self.servers))
        await self._gather()

    async def _gather(self) -> None:
        first: Any = self.servers[0]
        self.crowd = Crowd(
            [one.port for one in self.servers], rules=self.rules, path=first.path, receive_buffer=self.receive_buffer
        )
        self.crowd.kind = StreamTab if first.transport == "sse" else PeerTab
        self._stack.push_async_callback(self.crowd.close)
        await self.crowd.open(self.people.who[: self.clients], at_once=10)

    def _url(self, proxy: Proxy | None) -> str:
        assert self.rig.redis
        return f"redis://127.0.0.1:{proxy.port if proxy else self.rig.redis.port}/0"

    def environment(self, without: str | None = None, clock: float = 0) -> dict[str, str]:
        first: Any = self.servers[0]
        return first.environment(
            REDIS_URL=self._url(self.redis_out),
            CHAOS_SYSTEM=first.publish_module,
            CHAOS_CLOCK=str(clock),
            CHAOS_WITHOUT="",
        )

    async def publishers(self, number: int = 2, **plan: Any) -> Any:
        plan.setdefault("audiences", {"user": 0.9, "all": 0.1})
        return await super().publishers(number, **plan)

    async def settle(self, seconds: float = 60) -> bool:
        """Until nothing has come for three seconds."""
        deadline, before = time.monotonic() + min(seconds, 20), -1
        while (now := sum(len(tab.client.log) for tab in self.crowd.tabs)) != before and time.monotonic() < deadline:
            before = now
            await asyncio.sleep(3)
        return True

    async def count(self, *, resets_allowed: bool = False) -> Count:
        return count(self.ledger(), self.crowd.tabs)

    async def connected(self) -> int:
        """Not to be asked of these."""
        return 0

    async def _left_over(self) -> int:
        return 0


def count(ledger: Ledger, tabs: list[Tab]) -> Count:
    """What each client was sent by acknowledged publishes, against what it has."""
    total = Count(sent=len(ledger.intents), committed=len(ledger.acknowledged))
    for tab in tabs:
        due = {key for key in ledger.acknowledged if ledger.to.get(key) in ("all", tab.reader)}
        had = Counter(one.key for one in tab.client.log)
        total.applied += sum(had.values())
        total.missed += len(due - had.keys())
        total.doubled += sum(had.values()) - len(had)
        total.phantom += sum(key in ledger.rolled_back for key in had)
        total.drift += sum(had.values()) != len(due)
    return total

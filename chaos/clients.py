"""A crowd of clients, hundreds in one event loop: each one ``tests/reference_client.py`` with an apply log and the reconnect
rules of ``docs/protocol.md``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random, uniform
from typing import Any

import msgspec

from tests.reference_client import Client

from .count import Applied, Seen, key_in
from .wire import Link, connect, say

STABLE = 3.0
"""Seconds of a connection after which the backoff starts over."""
DEAD_AFTER = 10.0
"""Seconds beyond ``hello.ping`` without a frame after which a link counts as dead."""

KNOWN = ("hello", "reset", "snapshot", "entries", "push", "ping", "bye")

decode = msgspec.json.Decoder().decode


@dataclass(frozen=True)
class Rules:
    """How a client behaves; what is off here is a defence taken away on the client's side."""

    resume: bool = True
    """Says its cursor when it returns."""
    stable: float = STABLE
    jitter: bool = True
    """Waits a random time that grows, instead of a tenth of a second."""
    counts: bool = True
    """Takes its number from snapshots; otherwise it adds one for each message to the first one."""
    tolerant: bool = True
    """Passes over frames of types it doesn't know."""
    newer: bool = False
    """Says more in its hello than a server of today knows, and something more after it."""


class Logging(Client):
    """The reference client, writing down what it applies and when."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Applied] = []
        self.set: list[tuple[str, dict[str, int], int]] = []
        self.first = 0
        """The number of the first snapshot."""

    def reset(self, frame: dict[str, Any]) -> None:
        if not self.set:
            self.first = frame["snapshot"]["unread"]
        super().reset(frame)
        self.set.append((self.epoch, dict(self.cursor), len(self.log)))

    def take(self, stream: str, entry: dict[str, Any]) -> None:
        super().take(stream, entry)
        data = entry.get("data")
        delay = time.monotonic() - data["t"] if key_in(data) else 0.0
        self.log.append(Applied(self.epoch, stream, entry["seq"], key_in(data), delay))


class Tab:
    """One open page: connects, applies, and comes back whenever it is cut off."""

    def __init__(self, crowd: Crowd, reader: str, cookie: str) -> None:
        self.crowd, self.reader, self.cookie = crowd, reader, cookie
        self.client = Logging()
        self.link: Link | None = None
        self.port = 0
        self.connects = 0
        self.frames = 0
        self.codes: list[int] = []
        """How each connection ended."""
        self.gaps: list[float] = []
        """Seconds from each loss of the link to being level again."""
        self.stopped = False
        self._failures = 0
        self._since = self._heard = 0.0
        self._broke = 0.0
        self._ping, self._spread, self._retry = 25.0, 0.0, 0.0
        self._task: asyncio.Task[None] | None = None

    # What the crowd says.

    def come(self, wait: float = 0.0) -> None:
        """Connect, after *wait* seconds."""
        self.stopped = False
        self._task = asyncio.get_running_loop().create_task(self._connect(wait))

    def go(self) -> None:
        """Leave, for good or until ``come``."""
        self.stopped = True
        self.drop()
        if self._task is not None:
            self._task.cancel()

    def drop(self) -> None:
        """The link is gone, from one moment to the next; the client has not noticed and will not be told."""
        if self.link is not None:
            self.link.abort()
            self.link = None

    def check(self) -> None:
        """Nothing heard for too long: the link is dead."""
        if self.link is not None and time.monotonic() - self._heard > self._ping + DEAD_AFTER:
            self.cut()

    def heard(self, seconds: float) -> None:
        """Move the moment of the last frame: the page was asleep."""
        self._heard += seconds

    def cut(self) -> None:
        """Give the link up and come back as the rules say."""
        self.drop()
        self.lost(1006)

    # What the link says.

    def opened(self) -> None:
        self._since = self._heard = time.monotonic()
        hello = self.client.hello() if self.crowd.rules.resume else {"type": "hello", "v": 1}
        assert self.link is not None
        if self.crowd.rules.newer:
            self.link.send(say({**hello, "wish": {"compress": True}}))
            self.link.send(say({"type": "wish", "more": [1, 2]}))
        else:
            self.link.send(say(hello))

    def frame(self, text: bytes) -> None:
        frame = decode(text)
        self._heard = time.monotonic()
        self.frames += 1
        kind = frame["type"]
        if kind == "hello":
            self._ping, self._spread = frame["ping"], frame["spread"] / 1000
        elif kind == "bye":
            self._retry = frame["retry"] / 1000
        elif (kind not in KNOWN and not self.crowd.rules.tolerant) or not self.client.receive(frame):
            self.cut()
        elif self._broke and kind in ("reset", "snapshot"):
            self.gaps.append(time.monotonic() - self._broke)
            self._broke = 0.0

    def lost(self, code: int) -> None:
        self.link = None
        self.codes.append(code)
        self._broke = self._broke or time.monotonic()
        if self.stopped:
            return
        if code == 1009 or code % 1000 >= 500:
            self.stopped = True
            return
        self.come(self._wait(code))

    def _wait(self, code: int) -> float:
        if not self.crowd.rules.jitter:
            return 0.1
        if self._since and time.monotonic() - self._since >= self.crowd.rules.stable:
            self._failures = 0
        self._since = 0.0
        at_least, self._retry = self._retry, 0.0
        if code in (1001, 1012, 4000) and not self._failures:
            self._failures += 1
            return max(at_least, uniform(0, self._spread))
        wait = uniform(0, min(30.0, 0.5 * 2**self._failures))
        self._failures += 1
        return max(at_least, wait)

    async def _connect(self, wait: float) -> None:
        await asyncio.sleep(wait)
        self.connects += 1
        for port in self.crowd.ports(self):
            headers = {"Origin": f"http://127.0.0.1:{port}", "Cookie": f"sessionid={self.cookie}"}
            try:
                link = await self._link(port, headers)
            except (OSError, TimeoutError):
                continue
            self.port = port
            if not link.gone:
                self.link = link
            return
        self.lost(1006)

    async def _link(self, port: int, headers: dict[str, str]) -> Any:
        return await connect(self, port, self.crowd.path, headers, receive_buffer=self.crowd.receive_buffer)

    @property
    def seen(self) -> Seen:
        client = self.client
        badge = None if client.snapshot is None else client.badge
        if not self.crowd.rules.counts:
            badge = client.first + sum(bool(one.key) for one in client.log)
        return Seen(self.reader, client.log, client.set, dict(client.cursor), client.epoch, badge)


class Crowd:
    """All clients of a run. *ports*: those of a balancer's servers; a client takes one, and the next if nobody answers."""

    def __init__(
        self,
        ports: Sequence[int],
        *,
        rules: Rules | None = None,
        path: str = "/livebell/socket/",
        receive_buffer: int = 0,
    ) -> None:
        self.targets, self.path, self.receive_buffer = list(ports), path, receive_buffer
        self.rules = rules or Rules()
        self.kind = Tab
        self.tabs: list[Tab] = []
        self._random = Random(1)
        self._clock: asyncio.Task[None] | None = None

    def ports(self, tab: Tab) -> list[int]:
        """Where to try, in this order."""
        return self._random.sample(self.targets, len(self.targets))

    async def open(self, who: Iterable[tuple[str, str]], *, at_once: int = 50, seconds: float = 60) -> None:
        """Connect one tab for each (reader, cookie), *at_once* at a time, and wait until each has its first snapshot."""
        new = [self.kind(self, reader, cookie) for reader, cookie in who]
        self.tabs += new
        for start in range(0, len(new), at_once):
            some = new[start : start + at_once]
            for tab in some:
                tab.come()
            await until(lambda some=some: all(tab.client.snapshot is not None for tab in some), seconds, "connected")
        if self._clock is None:
            self._clock = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            for tab in self.tabs:
                tab.check()

    async def close(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
        for tab in self.tabs:
            tab.go()
        await asyncio.sleep(0)

    def on(self, port: int) -> list[Tab]:
        """Tabs connected to this server."""
        return [tab for tab in self.tabs if tab.link is not None and tab.port == port]

    @property
    def connects(self) -> int:
        return sum(tab.connects for tab in self.tabs)

    @property
    def gaps(self) -> list[float]:
        return [gap for tab in self.tabs for gap in tab.gaps]


def delays(tabs: Iterable[Tab]) -> list[float]:
    """Seconds from publish to applied, of all that came."""
    return [one.delay for tab in tabs for one in tab.client.log if one.key]


async def until(condition: Callable[[], bool], seconds: float, what: str, *, strict: bool = True) -> bool:
    """Wait until it is so. Raises ``TimeoutError``, or with ``strict=False`` says False."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            if strict:
                raise TimeoutError(f"not {what} after {seconds} s")
            return False
        await asyncio.sleep(0.02)
    return True

"""Many open pages at once, on several sites, as browsers behind a proxy would be: they come back when they were told to, and
where one site takes nobody in, to the next. Each writes down what happened to it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from livebell.protocol import SUBPROTOCOL
from tests.reference_client import Client
from tests.site import Site


@dataclass
class Goodbye:
    """The end of one connection."""

    at: float
    code: int
    """Of the close frame, 1006 without one."""
    bye: dict[str, Any] | None
    """The frame before it."""
    back: float = 0.0
    """When the next connection was open; 0: not yet."""
    refused: int = 0
    """Sites that took nobody in before that."""


@dataclass
class Member:
    """One page."""

    cookie: str
    sites: list[Site]
    """The one it stands on is the first."""
    client: Client = field(default_factory=Client)
    ends: list[Goodbye] = field(default_factory=list)

    async def live(self) -> None:
        """Connect, apply, come back, until cancelled."""
        while True:
            socket = await self._connect()
            if self.ends:
                self.ends[-1].back = time.monotonic()
            bye = await self._apply(socket)
            self.ends.append(Goodbye(time.monotonic(), socket.close_code or 1006, bye))
            await asyncio.sleep((bye or {"retry": 250})["retry"] / 1000)

    async def _connect(self) -> ClientConnection:
        for site in cycle(list(self.sites)):
            self.sites.remove(site)
            self.sites.insert(0, site)
            try:
                return await self._open(site)
            except (OSError, InvalidHandshake, TimeoutError):
                if self.ends:
                    self.ends[-1].refused += 1
                await asyncio.sleep(0.01)
        raise AssertionError

    async def _open(self, site: Site) -> ClientConnection:
        return await connect(
            f"ws://127.0.0.1:{site.port}/livebell/socket/",
            origin=site.url,  # type: ignore[arg-type]
            additional_headers={"Cookie": f"sessionid={self.cookie}"},
            subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
            compression=None,
            proxy=None,
            open_timeout=20,
            close_timeout=1,
        )

    async def _apply(self, socket: ClientConnection) -> dict[str, Any] | None:
        try:
            await socket.send(json.dumps(self.client.hello()))
            async for text in socket:
                frame = json.loads(text)
                if frame["type"] == "bye":
                    await socket.wait_closed()
                    return frame
                if not self.client.receive(frame):
                    await socket.close()
        except ConnectionClosed:
            pass
        return None


class Crowd:
    """``async with Crowd(cookies, sites, count) as crowd``: *count* members, spread over the cookies and the sites."""

    def __init__(self, cookies: Sequence[str], sites: Sequence[Site], count: int) -> None:
        several = [list(sites[n:]) + list(sites[:n]) for n in range(len(sites))]
        pairs = zip(cycle(cookies), islice(cycle(several), count), strict=False)
        self.members = [Member(cookie, list(order)) for cookie, order in pairs]
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Crowd:
        self._tasks = [asyncio.create_task(member.live()) for member in self.members]
        await self.until(lambda member: member.client.snapshot is not None)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def until(self, level: Callable[[Member], bool], seconds: float = 30) -> None:
        """Wait until every member is as wanted."""
        end = time.monotonic() + seconds
        while not all(map(level, self.members)):
            broken = [task for task in self._tasks if task.done()]
            assert not broken, broken[0].exception()
            wrong = [member for member in self.members if not level(member)]
            assert time.monotonic() < end, f"{len(wrong)} of {len(self.members)}, first {wrong[0].client.cursor}"
            await asyncio.sleep(0.02)

    @property
    def ends(self) -> list[Goodbye]:
        return [end for member in self.members for end in member.ends]


def busiest(moments: Iterable[float], window: float = 1.0) -> int:
    """The most that happened within any *window* seconds."""
    times = sorted(moments)
    most, first = 0, 0
    for last, moment in enumerate(times):
        while times[first] < moment - window:
            first += 1
        most = max(most, last - first + 1)
    return most

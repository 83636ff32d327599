"""The hub: which connections stand on which streams, and one loop that keeps them level with the log. Pure asyncio.

One task owns all state. Hints, arrivals and departures only set dirty flags and wake it; each pass then answers all that is
dirty with at most two queries and sends. While a pass is under way, what arrives waits for the next one, so that batches
grow by themselves under load, without timers.

A connection that keeps up costs nothing per message but its send: its position is the stream's. One that doesn't (it has
just resumed, or its last send isn't finished) keeps its own position in ``behind`` and is pulled for separately. It never
owns a queue of messages (invariant 5).

Three rooms, each built on the one before: ``register`` is what a hub knows, ``passes`` its loop, this file what the outside
may say to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import randint
from time import monotonic

from .connection import Connection, Reader
from .passes import SLICE, Passes
from .protocol import CloseCode, Ping, Push, encode

SEND_DEADLINE = 10.0
"""Seconds after which a connection whose send does not finish is closed."""
PRUNED = "livebell:pruned:"
"""Before the name of a stream, in hints: its floor has moved. No topic begins like this."""


class Hub(Passes):
    """One per process and event loop. ``run`` it; everything else sets flags, returns at once, and may be called from the
    loop's thread at any time."""

    def join(self, connection: Connection) -> None:
        """Take in a connection; it is answered in the next pass, together with all others that came meanwhile."""
        if self.draining:
            connection.close(CloseCode.DRAIN, retry=randint(1, self.spread + 1))
            return
        reader = self.readers.setdefault(connection.reader, Reader(connection.reader))
        if len(reader.connections) >= self.max_connections:
            oldest = next(iter(reader.connections))
            self.leave(oldest)
            oldest.close(CloseCode.TOO_MANY)
            reader = self.readers.setdefault(connection.reader, reader)
        reader.connections[connection] = None
        self.connections.add(connection)
        self._recount(connection.reader)

    def free(self, connection: Connection) -> None:
        """The connection's send has finished."""
        connection.busy_since = 0.0
        self._busy.discard(connection)
        if connection not in self.connections:
            return
        while connection.pushes and not connection.busy_since:
            self._send(connection, connection.pushes.pop(next(iter(connection.pushes))))
        if connection.stale:
            self._recount(connection.reader)
        elif connection.behind:
            self._lagging[connection] = None
            self._wake.set()

    def hint(self, hints: Mapping[str, int]) -> None:
        """These have moved, somebody says; what is here already is passed over."""
        for name, position in hints.items():
            if name.startswith("reader:"):
                reader = self.readers.get(name.removeprefix("reader:"))
                if reader is not None and position > reader.rev:
                    self._recount(reader.key)
            elif name.startswith(PRUNED):
                self.prune({name.removeprefix(PRUNED): position})
            elif (stream := self.streams.get(name)) is not None and position > stream.sent:
                self.pull(name)

    def review(self, part: int, parts: int) -> None:
        """Ask again what one in *parts* of the readers may read; they are only told if it has changed."""
        quiet = {key for key in self.readers if hash(key) % parts == part} - self._stale.keys()
        self.recount(quiet)
        self._quiet |= quiet

    def push(self, topic: str, event: str, data: object, key: str) -> None:
        """Send an event without storage to those who stand on the topic now."""
        stream = self.streams.get(topic)
        if stream is None:
            return
        text = encode(Push(topic=topic, event=event, data=data, key=key))
        for connection in list(stream.connections):
            if not connection.busy_since:
                self._send(connection, text)
            elif key:
                self._keep(connection, (topic, event, key), text)

    def restart(self, epoch: str) -> None:
        """The history has changed: nobody's position means anything."""
        self.epoch = epoch
        for connection in self.connections:
            self._void(connection)

    async def ping(self) -> None:
        """Let every client know that the link lives."""
        text = encode(Ping(now=self.now()))
        for n, connection in enumerate(list(self.connections), 1):
            if connection.started and not connection.busy_since:
                self._send(connection, text)
            if n % SLICE == 0:
                await asyncio.sleep(0)

    def expel_slow(self) -> None:
        """Close those whose send has not finished in time; they resume from their cursor (invariant 5)."""
        late = monotonic() - SEND_DEADLINE
        for connection in [c for c in self._busy if c.busy_since < late]:
            self.leave(connection)
            connection.close(CloseCode.SLOW)

    def expel_old(self) -> None:
        """Close those that have lasted long enough; they come back at once, and are asked who they are."""
        now = monotonic()
        for connection in [c for c in self.connections if c.until < now]:
            self.leave(connection)
            connection.close(CloseCode.MAX_AGE)

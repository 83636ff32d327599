"""The hub: which connections stand on which streams, and one loop that keeps them level with the log. Pure asyncio.

One task owns all state. Hints, arrivals and departures only set dirty flags and wake it; each pass then answers all that is
dirty with at most two queries and sends. While a pass is under way, what arrives waits for the next one, so that batches
grow by themselves under load, without timers.

A connection that keeps up costs nothing per message but its send: its position is the stream's. One that doesn't (it has
just resumed, or its last send isn't finished) keeps its own position in ``behind`` and is pulled for separately. It never
owns a queue of messages (invariant 5).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from random import randint
from time import monotonic
from typing import Any

from .connection import LEVEL, Connection, Page, Position, Reader, Source, Standing, Stream
from .protocol import (
    PING_EVERY,
    SPREAD,
    VERSION,
    CloseCode,
    Counted,
    Cursor,
    Entries,
    Hello,
    Ping,
    Push,
    Reset,
    continues,
    encode,
)

logger = logging.getLogger("livebell.hub")

AT_ONCE = 500
"""Readers counted, or connections that are behind caught up, in one pass: bounds what one query brings into memory."""
SLICE = 100
"""Sends between two moments at which the rest of the process gets its turn."""
SEND_DEADLINE = 10.0
"""Seconds after which a connection whose send does not finish is closed."""
RETRY_EVERY = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds to wait after the first, second, … failure of the source in a row."""
PRUNED = "livebell:pruned:"
"""Before the name of a stream, in hints: its floor has moved. No topic begins like this."""
MAX_PUSHES = 16
"""Pushes kept for a connection that is busy: the latest of each key."""


class Hub:
    """One per process and event loop. ``run`` it; everything else may be called from the loop's thread at any time."""

    def __init__(
        self, source: Source, *, epoch: str, now: Any, max_connections: int = 20, spread: int = SPREAD
    ) -> None:
        self.source, self.epoch, self.now, self.max_connections = source, epoch, now, max_connections
        self.spread = spread
        self.draining = False
        """Whoever comes is sent elsewhere; ``drain`` does the same with those that are here."""
        self.streams: dict[str, Stream] = {}
        self.readers: dict[str, Reader] = {}
        self.connections: set[Connection] = set()
        # Dicts used as ordered sets: who has waited longest is served first.
        self._dirty: dict[str, None] = {}
        self._stale: dict[str, None] = {}
        self._quiet: set[str] = set()
        """Of the stale ones, those that nobody said anything about."""
        self._lagging: dict[Connection, None] = {}
        self._busy: set[Connection] = set()
        self._wake = asyncio.Event()
        self._failures = 0

    # What the outside says: sets flags, returns at once.

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

    def leave(self, connection: Connection) -> None:
        """Forget a connection."""
        if connection not in self.connections:
            return
        self.connections.discard(connection)
        self._lagging.pop(connection, None)
        self._busy.discard(connection)
        reader = self.readers[connection.reader]
        del reader.connections[connection]
        for name in reader.streams:
            self._step_off(connection, name)
        if not reader.connections:
            del self.readers[reader.key]

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

    def pull(self, name: str) -> None:
        """Ask the log about this stream, whatever its position."""
        self._dirty[name] = None
        self._wake.set()

    def recount(self, readers: Iterable[str] | None = None) -> None:
        """Give these readers, or all, a new snapshot on the streams they may read by now."""
        for key in list(self.readers if readers is None else readers):
            self._recount(key)

    def prune(self, floors: Mapping[str, int]) -> None:
        """These streams have been pruned up to here, somebody says: what their readers had unread below counts no more."""
        for name, floor in floors.items():
            if (stream := self.streams.get(name)) is not None and floor > stream.floor >= 0:
                self.recount({connection.reader for connection in stream.connections})

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

    @property
    def heads(self) -> dict[str, int]:
        """Where this hub believes every stream to be."""
        return {stream.name: stream.sent for stream in self.streams.values()}

    @property
    def floors(self) -> dict[str, int]:
        """Up to where this hub believes every stream to be pruned."""
        return {stream.name: max(stream.floor, 0) for stream in self.streams.values()}

    @property
    def revs(self) -> dict[str, int]:
        """Which rev of every reader's marks it has told."""
        return {reader.key: max(reader.rev, 0) for reader in self.readers.values()}

    # The loop.

    async def run(self) -> None:
        """Answer what is dirty, until cancelled. A source that fails is asked again; nobody is dropped for it."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._pass()
                self._failures = 0
            except Exception:
                wait = RETRY_EVERY[min(self._failures, len(RETRY_EVERY) - 1)]
                self._failures += 1
                logger.exception("hub: the source failed, asking again in %s s", wait)
                await asyncio.sleep(wait)
                self._wake.set()

    async def _pass(self) -> None:
        try:
            await self._count()
        finally:  # whoever can't be counted must not keep the others from their entries
            await self._level()

    async def _count(self) -> None:
        """New snapshots for whom something was read, taken back, granted or withdrawn; first ones for who has just come."""
        waiting = [key for key in self._stale if key in self.readers]
        stale = waiting[:AT_ONCE]
        self._stale = dict.fromkeys(waiting[AT_ONCE:])
        if not stale:
            return
        if self._stale:
            self._wake.set()
        try:
            await self._expel_ended(stale)
            standings = await self.source.standings(stale)
        except BaseException:
            self._stale = dict.fromkeys(stale) | self._stale
            raise
        for n, key in enumerate(stale):
            if (reader := self.readers.get(key)) is not None:
                self._counted(reader, standings.get(key))
            if n % SLICE == SLICE - 1:
                await asyncio.sleep(0)

    async def _expel_ended(self, readers: Iterable[str]) -> None:
        """Whoever is counted again is asked again who it is: this is how a logout reaches a socket (invariant 7)."""
        known = [c for key in readers for c in self.readers[key].connections if c.session]
        if not known:
            return
        ended = await self.source.ended({c.session: c.reader for c in known})
        for connection in known:
            if connection.session in ended:
                self.leave(connection)
                connection.close(CloseCode.SESSION_ENDED)

    def _counted(self, reader: Reader, standing: Standing | None) -> None:
        if standing is None:
            for connection in list(reader.connections):
                self.leave(connection)
                connection.close(CloseCode.SESSION_ENDED)
            return
        snapshot = standing.snapshot
        if self._nothing_new(reader, standing):
            return
        self._stand(reader, snapshot.at)
        reader.rev = snapshot.rev
        text = encode(Counted(epoch=self.epoch, snapshot=snapshot))
        for connection in list(reader.connections):
            if not connection.started and not connection.busy_since:
                self._start(connection, standing, text)
            elif connection.busy_since:
                connection.stale = True
            else:
                connection.stale = False
                self._send(connection, text)
                if connection.behind and not connection.busy_since:
                    self._lagging[connection] = None
        self._note_floors(standing.floor)

    def _note_floors(self, floors: Cursor) -> None:
        """If one of a stream's readers finds it pruned, the others are counted again too."""
        self.prune(floors)
        for name, floor in floors.items():
            if (stream := self.streams.get(name)) is not None:
                stream.floor = max(stream.floor, floor)

    def _nothing_new(self, reader: Reader, standing: Standing) -> bool:
        quiet, snapshot = reader.key in self._quiet, standing.snapshot
        self._quiet.discard(reader.key)
        if not quiet or reader.rev != snapshot.rev or set(reader.streams) != snapshot.at.keys():
            return False
        streams = (self.streams.get(name) for name in reader.streams)
        return all(stream.floor >= standing.floor[stream.name] for stream in streams if stream is not None)

    def _stand(self, reader: Reader, at: Cursor) -> None:
        """Put the reader's connections on the streams it may read now, and take them off the others."""
        gone, new = set(reader.streams) - at.keys(), at.keys() - set(reader.streams)
        for connection in reader.connections:
            for name in gone:
                self._step_off(connection, name)
            if connection.started:
                for name in new:
                    self._step_on(connection, name, at[name], at[name])
        if gone or new:
            reader.streams = tuple(at)

    def _start(self, connection: Connection, standing: Standing, counted: str) -> None:
        """Answer a newcomer: from its cursor on, or with a reset if that can't be continued."""
        if not connection.greeted:
            connection.greeted = True
            hello = Hello(v=VERSION, epoch=self.epoch, now=self.now(), ping=PING_EVERY, spread=self.spread)
            self._send(connection, encode(hello))
            if connection.busy_since:
                connection.stale = True
                return
        at, cursor = standing.snapshot.at, connection.cursor
        if not cursor or connection.epoch != self.epoch or not continues(cursor, at, standing.floor):
            cursor, counted = at, encode(Reset(epoch=self.epoch, snapshot=standing.snapshot))
        connection.started, connection.stale, connection.cursor = True, False, None
        connection.epoch = self.epoch
        for name, head in at.items():
            self._step_on(connection, name, (cursor or at).get(name, head), head)
        self._send(connection, counted)

    async def _level(self) -> None:
        """Pull every dirty stream and every position that is behind, in one query, and send what comes."""
        waiting = [c for c in self._lagging if c.behind and not c.busy_since and not c.stale]
        lagging, dirty = waiting[:AT_ONCE], [name for name in self._dirty if name in self.streams]
        self._dirty, self._lagging = {}, dict.fromkeys(waiting[AT_ONCE:])
        if self._lagging:
            self._wake.set()
        main = [(name, self.streams[name].sent) for name in dirty]
        wanted = dict.fromkeys([*main, *(position for c in lagging for position in c.behind.items())])
        if not wanted:
            return
        try:
            pages = await self.source.pull(list(wanted))
        except BaseException:
            self._dirty = dict.fromkeys(dirty) | self._dirty
            self._lagging = dict.fromkeys(lagging) | self._lagging
            raise
        for position in main:
            await self._advance(position, pages[position])
        await self._catch_up(lagging, pages)

    async def _advance(self, position: Position, page: Page) -> None:
        """Send the new entries of a stream to all who are level with it: encoded once, the same text for each."""
        name, prev = position
        stream = self.streams.get(name)
        if stream is None:
            return
        if prev < page.floor or prev > page.head:
            for connection in list(stream.connections):
                self._void(connection)
        elif page.entries:
            stream.sent = page.entries[-1].seq
            if stream.sent < page.head:
                self.pull(name)
            await self._fan_out(stream, prev, page)

    async def _fan_out(self, stream: Stream, prev: int, page: Page) -> None:
        text = self._frame(stream.name, prev, page)
        if any(entry.retracts for entry in page.entries):
            for connection in stream.connections:
                self._recount(connection.reader)
        everybody = list(stream.connections)
        for start in range(0, len(everybody), SLICE):
            for connection in everybody[start : start + SLICE]:
                if connection.behind or connection.busy_since or connection.stale:
                    self._send_or_lag(connection, stream.name, prev, text)
                elif not connection.send(text):
                    self._busy_now(connection)
            await asyncio.sleep(0)

    def _send_or_lag(self, connection: Connection, name: str, prev: int, text: str) -> None:
        if name in connection.behind:
            return
        if connection.busy_since or connection.stale:
            self._lag(connection, name, prev)
        else:
            self._send(connection, text)

    async def _catch_up(self, lagging: Iterable[Connection], pages: Mapping[Position, Page]) -> None:
        """Bring those who are behind nearer; those at the same position share the text."""
        frames: dict[Position, str] = {}
        for n, connection in enumerate(lagging, 1):
            if connection in self.connections:
                self._catch_up_one(connection, pages, frames)
            if n % SLICE == 0:
                await asyncio.sleep(0)

    def _catch_up_one(
        self, connection: Connection, pages: Mapping[Position, Page], frames: dict[Position, str]
    ) -> None:
        for position in list(connection.behind.items()):
            page = pages.get(position)
            if page is None or connection.busy_since:
                break
            name, prev = position
            if not page.floor <= prev <= page.head:
                self._void(connection)
                return
            if page.entries:
                if position not in frames:
                    frames[position] = self._frame(name, prev, page)
                self._send(connection, frames[position])
                if any(entry.retracts for entry in page.entries):
                    self._recount(connection.reader)
                prev = page.entries[-1].seq
            self._arrive(connection, name, prev)
        if connection.behind and not connection.busy_since:
            self._lagging[connection] = None
            self._wake.set()

    def _arrive(self, connection: Connection, name: str, seq: int) -> None:
        stream = self.streams.get(name)
        if stream is None or seq >= stream.sent:
            connection.behind.pop(name, None)
            if not connection.behind:
                connection.behind = LEVEL
        else:
            connection.behind[name] = seq

    # Small steps.

    def _frame(self, name: str, prev: int, page: Page) -> str:
        return encode(Entries(epoch=self.epoch, stream=name, prev=prev, entries=page.entries))

    def _send(self, connection: Connection, text: str) -> None:
        if not connection.send(text):
            self._busy_now(connection)

    def _busy_now(self, connection: Connection) -> None:
        connection.busy_since = monotonic()
        self._busy.add(connection)

    def _keep(self, connection: Connection, key: Any, text: str) -> None:
        kept = connection.pushes = connection.pushes or {}
        kept.pop(key, None)
        if len(kept) < MAX_PUSHES:
            kept[key] = text

    def _recount(self, reader: str) -> None:
        self._quiet.discard(reader)
        self._stale[reader] = None
        self._wake.set()

    def _lag(self, connection: Connection, name: str, position: int) -> None:
        if not connection.behind:
            connection.behind = {}
        connection.behind[name] = position
        if not connection.busy_since and not connection.stale:
            self._lagging[connection] = None
            self._wake.set()

    def _void(self, connection: Connection) -> None:
        """Its position can't be continued: start it again, with a reset."""
        connection.behind, connection.started = LEVEL, False
        for name in self.readers[connection.reader].streams:
            self._step_off(connection, name)
        self._recount(connection.reader)

    def _step_on(self, connection: Connection, name: str, position: int, head: int) -> None:
        stream = self.streams.get(name)
        if stream is None:
            stream = self.streams[name] = Stream(name, head)
        stream.connections.add(connection)
        if stream.sent < head:
            self.pull(name)
        if position < stream.sent:
            self._lag(connection, name, position)

    def _step_off(self, connection: Connection, name: str) -> None:
        if connection.behind:
            connection.behind.pop(name, None)
        stream = self.streams.get(name)
        if stream is None:
            return
        stream.connections.discard(connection)
        if not stream.connections:
            del self.streams[name]

"""The loop of a hub: each pass answers all that is dirty with at most two queries, and sends. Pure asyncio.

First whoever has to be counted (newcomers, and whose marks or rights have changed), then every stream that has moved, and
everybody who is behind. While a pass is under way, what arrives waits for the next one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping

from .connection import LEVEL, Connection, Page, Position, Reader, Standing, Stream
from .protocol import PING_EVERY, VERSION, CloseCode, Counted, Cursor, Entries, Hello, Reset, continues, encode
from .register import Register

logger = logging.getLogger("livebell.hub")

AT_ONCE = 500
"""Readers counted, or connections that are behind caught up, in one pass: bounds what one query brings into memory."""
SLICE = 100
"""Sends between two moments at which the rest of the process gets its turn."""
RETRY_EVERY = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds to wait after the first, second, … failure of the source in a row."""


class Passes(Register):
    """What a hub does about its dirty flags."""

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

    def _frame(self, name: str, prev: int, page: Page) -> str:
        return encode(Entries(epoch=self.epoch, stream=name, prev=prev, entries=page.entries))

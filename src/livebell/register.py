"""What a hub knows: who is here, who stands where, what is dirty; and the small steps that change it. Pure asyncio.

Nothing here asks the source or waits: a step sets flags, and wakes the loop in ``passes``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Any

from .connection import LEVEL, Connection, Reader, Source, Stream
from .protocol import SPREAD

MAX_PUSHES = 16
"""Pushes kept for a connection that is busy: the latest of each key."""


class Register:
    """The state of a hub. One task changes it, and what is called from the loop's thread between that task's steps."""

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

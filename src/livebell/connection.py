"""What the hub works with: a connection, the stream and the reader it belongs to, and the source that it all comes from.

Pure: the transports subclass :class:`Connection`, ``live`` writes a :class:`Source`, tests write both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from random import uniform
from time import monotonic
from typing import Any, Protocol

from .protocol import CloseCode, Cursor, Entry, Snapshot

MAX_AGE = 3600.0
"""Seconds that a connection lasts, ± 20 %."""

Position = tuple[str, int]


class Page(Protocol):
    """Entries of one stream above a position."""

    @property
    def entries(self) -> list[Entry]: ...
    @property
    def head(self) -> int: ...
    @property
    def floor(self) -> int: ...


class Standing(Protocol):
    """A reader's snapshot, and the floors of its streams."""

    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def floor(self) -> Cursor: ...


class Source(Protocol):
    """Where the truth is. Both answer for many at once, in one query."""

    async def pull(self, positions: Collection[Position]) -> Mapping[Position, Page]: ...
    async def standings(self, readers: Collection[str]) -> Mapping[str, Standing]:
        """A reader that is missing from the answer may not be here any more."""

    async def ended(self, sessions: Mapping[str, str]) -> Collection[str]:
        """Which of these sessions, each with its reader, don't count any more."""


class Connection(ABC):
    """A socket and a cursor. The transport subclasses it."""

    __slots__ = (
        "__weakref__", "behind", "busy_since", "cursor", "epoch", "greeted", "pushes", "reader", "session", "stale",
        "started", "until",
    )  # fmt: skip

    def __init__(self, reader: str, epoch: str, cursor: Cursor, session: str = "") -> None:
        self.reader = reader
        self.session = session
        """Key of the session it came with; it ends with it."""
        self.until = monotonic() + MAX_AGE * uniform(0.8, 1.2)
        """When it is closed in any case, so that no right outlives its reason for long."""
        self.epoch = epoch
        self.cursor: Cursor | None = cursor
        """Where the client says it stands, until it is answered."""
        self.greeted = False
        """It has been sent a hello."""
        self.started = False
        self.behind: Cursor = LEVEL
        """Positions on the streams on which it isn't level with the hub."""
        self.stale = False
        """It has missed a snapshot."""
        self.pushes: dict[Any, str] | None = None
        self.busy_since = 0.0
        """When a send began that hasn't finished; 0: it is free."""

    @abstractmethod
    def send(self, text: str) -> bool:
        """Hand over a frame. False if the send hasn't finished; ``Hub.free`` must be called when it has."""

    @abstractmethod
    def close(self, code: CloseCode, *, retry: int = 0) -> None:
        """Say goodbye and close. The transport then calls ``Hub.leave``."""


LEVEL: Cursor = {}
"""Shared by all connections that are level, so that an idle one has no dict of its own. Never written."""


class Stream:
    """One stream that somebody here stands on."""

    __slots__ = ("connections", "floor", "name", "sent")

    def __init__(self, name: str, sent: int) -> None:
        self.name = name
        self.sent = sent
        """Up to here, every connection that isn't behind has been sent all there is."""
        self.floor = -1
        """Up to here its readers know that it has been pruned; -1: nobody has been counted on it yet."""
        self.connections: set[Connection] = set()


class Reader:
    """One user with connections here."""

    __slots__ = ("connections", "key", "rev", "streams")

    def __init__(self, key: str) -> None:
        self.key = key
        self.rev = -1
        self.streams: tuple[str, ...] = ()
        self.connections: dict[Connection, None] = {}

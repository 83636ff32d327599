"""The wire: frames, the cursor, close codes. Pure: imports nothing of ours and never Django.

A client keeps one cursor, ``{stream: seq}``, and one snapshot, and computes its badge by one rule::

    badge = snapshot.unread + notifications received above snapshot.at

The prose, with every frame and every rule a client must follow, is ``docs/protocol.md``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, TypeAlias

import msgspec

VERSION = 1
"""Version of the frames. A client that says another one is closed with ``CloseCode.VERSION``."""

SUBPROTOCOL = "livebell.v1"
PING_EVERY = 25
"""Seconds between two pings."""
SPREAD = 10_000
"""Milliseconds over which clients spread their return after a deploy."""
MAX_MISSED = 1000
"""Entries of one stream that a returning client is sent; who missed more gets a reset, and finds the rest in the list."""
MAX_INBOUND = 16 * 1024
"""Largest frame accepted from a client, in bytes: a hello with a cursor of about 900 streams."""

Cursor: TypeAlias = dict[str, int]
"""How far a reader has got: ``{stream: seq}``. Never a credential."""


class CloseCode(IntEnum):
    """Why the server closed. A code from x000 to x499 says: come back; from x500 to x999: stop."""

    GOING_AWAY = 1001
    TOO_BIG = 1009
    SERVER_ERROR = 1011
    DRAIN = 4000
    SLOW = 4001
    OVERLOADED = 4004
    MAX_AGE = 4005
    RATE = 4008
    NO_SESSION = 4501
    SESSION_ENDED = 4502
    FORBIDDEN = 4503
    BAD_FRAME = 4504
    VERSION = 4505
    TOO_MANY = 4506

    @property
    def reconnect(self) -> bool:
        """Whether a client that got this code should connect again."""
        return self % 1000 < 500 and self is not CloseCode.TOO_BIG


class Snapshot(msgspec.Struct, frozen=True, omit_defaults=False):
    """What one reader has unread, and the position at which it was counted, from one consistent read."""

    unread: int
    unseen: int
    at: Cursor
    """Head of every stream the reader stands on; a stream that is absent is one the reader may not read."""
    rev: int
    """Counts the changes of this reader's marks; a snapshot with a lower ``rev`` is older."""
    through: Cursor
    """Everything up to here is read, per stream."""
    read: dict[str, list[int]]
    """Single entries above ``through`` that are read, the newest ``MAX_RECEIPTS`` of each stream."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One numbered entry of a stream: a notification, or the retraction of an earlier entry."""

    seq: int
    retracts: int = 0
    """Not 0: this entry takes back the entry with that ``seq``, and has no content."""
    gone: bool = False
    """The notification was taken back or has expired: only its number is left."""
    id: int = 0
    kind: str = ""
    title: str = ""
    body: str = ""
    url: str = ""
    level: str = "info"
    actor: str = ""
    data: Any = None
    created: float = 0.0
    """Seconds since 1970, by the clock of the publisher. For display, never for order."""


class Frame(msgspec.Struct, frozen=True, tag_field="type", tag=str.lower):
    """Base of everything on the wire; its ``type`` is the lower-case name of the class."""


class Hello(Frame, frozen=True, tag="hello"):
    """First frame of a connection, from the server."""

    v: int
    epoch: str
    """Identity of this database's history; a cursor of another epoch means nothing."""
    now: float
    """The server's clock, in seconds since 1970."""
    ping: int
    """A frame arrives at least this often, in seconds. A client that hears nothing for longer is cut off."""
    spread: int
    """After a close by deploy, spread reconnects over this many milliseconds."""


class Reset(Frame, frozen=True, tag="reset"):
    """Forget what you have: this is the state now. Sent when a cursor can't be continued."""

    epoch: str
    snapshot: Snapshot


class Counted(Frame, frozen=True, tag="snapshot"):
    """A new snapshot: the marks changed, an entry was taken back, or the set of streams changed."""

    epoch: str
    snapshot: Snapshot


class Entries(Frame, frozen=True, tag="entries"):
    """The entries of one stream from ``prev`` (exclusive) on, in order and without holes."""

    epoch: str
    stream: str
    prev: int
    entries: list[Entry]


class Push(Frame, frozen=True, tag="push"):
    """An event without storage: at most once, and only the latest of each ``key`` is certain to come."""

    topic: str
    event: str
    data: Any = None
    key: str = ""


class Ping(Frame, frozen=True, tag="ping"):
    """The connection lives."""

    now: float


class Bye(Frame, frozen=True, tag="bye"):
    """The last frame: why the server closes, and how many milliseconds to wait at the least."""

    code: int
    retry: int


class ClientHello(msgspec.Struct, frozen=True, tag_field="type", tag="hello"):
    """The client's first and only frame. Without a cursor it is answered with a reset."""

    v: int = VERSION
    epoch: str = ""
    cursor: Cursor = {}


def read_position(epoch: str, cursor: str) -> ClientHello:
    """The hello of a client that speaks HTTP, from its query parameters. Raises ``ValueError`` that names the parameter."""
    try:
        positions = msgspec.json.decode(cursor, type=Cursor) if cursor else {}
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"cursor: must be an object of streams and positions; {error}") from error
    if any(seq < 0 for seq in positions.values()):
        raise ValueError("cursor: a position is never below 0")
    return ClientHello(epoch=epoch, cursor=positions)


class BadFrame(Exception):
    """What a client sent can't be understood; ``code`` is the close code that says so."""

    def __init__(self, code: CloseCode) -> None:
        super().__init__(code.name)
        self.code = code


_encode = msgspec.json.Encoder().encode
_decode_hello = msgspec.json.Decoder(ClientHello).decode


def continues(cursor: Cursor, at: Cursor, floor: Cursor) -> bool:
    """Whether the log can be continued from a cursor: not pruned behind it, not older than it, not too far ahead of it."""
    return all(floor.get(s, 0) <= cursor[s] <= at[s] <= cursor[s] + MAX_MISSED for s in cursor.keys() & at.keys())


def encode(frame: Frame) -> str:
    """The text of a frame: one line of JSON."""
    return _encode(frame).decode()


def decode_hello(text: str | bytes | None) -> ClientHello:
    """Read the client's hello. Raises :class:`BadFrame` with the close code to use."""
    if not isinstance(text, str):
        raise BadFrame(CloseCode.BAD_FRAME)
    if len(text) > MAX_INBOUND or len(text.encode(errors="replace")) > MAX_INBOUND:
        raise BadFrame(CloseCode.TOO_BIG)
    try:
        hello = _decode_hello(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise BadFrame(CloseCode.BAD_FRAME) from None
    if hello.v != VERSION:
        raise BadFrame(CloseCode.VERSION)
    if any(seq < 0 for seq in hello.cursor.values()):
        raise BadFrame(CloseCode.BAD_FRAME)
    return hello

"""WebSocket frames, finished once for all who get them (RFC 6455, section 5.2)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

EXTENSION = "livebell.frames"
"""Key in ``scope["extensions"]`` under which a server offers a :class:`Writer`."""

_FIN_TEXT = 0x81


class Adopter(Protocol):
    """A connection of Livebell's on a server that takes finished frames."""

    def filled(self) -> None:
        """The server's buffer is full: what was written last waits."""

    def drained(self) -> None:
        """It has room again."""

    def ended(self) -> None:
        """The goodbye has been said, or the connection is lost: nothing may be written any more."""


class Writer(Protocol):
    """A server that takes finished frames."""

    def adopt(self, adopter: Adopter) -> Callable[[bytes], None]:
        """Livebell has accepted this connection and keeps it from now on. Returns what writes a finished frame: the
        transport's own function, because each call between a broadcast and the socket is made for every connection."""

    def abort(self) -> None:
        """Drop the connection with all that its buffer holds: its client does not read."""


@lru_cache(maxsize=64)
def text_frame(text: str) -> bytes:
    """An unmasked text frame, as servers send it. The hub gives every connection the same object, so one call frames it."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return bytes([_FIN_TEXT, size]) + payload
    if size < 65536:
        return bytes([_FIN_TEXT, 126]) + size.to_bytes(2, "big") + payload
    return bytes([_FIN_TEXT, 127]) + size.to_bytes(8, "big") + payload

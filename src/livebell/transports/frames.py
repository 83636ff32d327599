"""WebSocket frames, finished once for all who get them (RFC 6455, section 5.2)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

EXTENSION = "livebell.frames"
"""Key in ``scope["extensions"]`` under which a server offers a :class:`Writer`."""

_FIN_TEXT = 0x81


class Writer(Protocol):
    """A server that takes finished frames."""

    def write(self, frame: bytes) -> bool: ...
    def adopt(self, drained: Callable[[], None]) -> None: ...
    def abort(self) -> None: ...


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

"""SIGTERM: first drain, then whatever the server does about it.

A server closes every WebSocket at once when it is told to end, uvicorn with 1012 before it says a word to the application
(``lifespan.shutdown`` comes last), and all clients would be back in the same second. So the live side stands before the
server's own handler, and calls it when it has drained. A second SIGTERM ends it at once, as does Ctrl-C.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from time import monotonic
from types import FrameType
from typing import Any

SAME = 0.5
"""Seconds within which a second signal is the same one: a supervisor and the parent process may both send it."""

Handler = Callable[[int, FrameType | None], Any]


class Sigterm:
    """Stands before the handler of SIGTERM in force, if this is the main thread and a server has set one."""

    def __init__(self, drain: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._drain = drain
        self._loop = asyncio.get_running_loop()
        self._server: Handler | None = _of_a_server()
        self._since: float | None = None
        self._task: asyncio.Task[None] | None = None
        if self._server is not None:
            signal.signal(signal.SIGTERM, self._handle)

    def leave(self) -> None:
        """Give the signal back to the server, unless somebody else has it by now."""
        if self._server is not None and signal.getsignal(signal.SIGTERM) == self._handle:
            signal.signal(signal.SIGTERM, self._server)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._loop.is_closed():
            self._pass_on()
        elif self._since is None:
            self._since = monotonic()
            self._loop.call_soon_threadsafe(self._begin)
        elif monotonic() - self._since > SAME:
            self._pass_on()

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._drain())
        self._task.add_done_callback(lambda task: self._pass_on())

    def _pass_on(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            signal.signal(signal.SIGTERM, server)
            server(signal.SIGTERM, None)


def _of_a_server() -> Handler | None:
    if threading.current_thread() is not threading.main_thread():
        return None
    handler = signal.getsignal(signal.SIGTERM)
    return handler if callable(handler) else None

"""What the transports share: the types of ASGI, who is asking, and a connection that writes through ``send``."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from itertools import count
from typing import Any

from django.contrib.auth import SESSION_KEY

from .. import api
from ..conf import conf
from ..connection import Connection
from ..hub import Hub
from ..live import ANONYMOUS, Live
from ..protocol import Bye, ClientHello, CloseCode, encode
from . import eager, gate

logger = logging.getLogger("livebell.transports")

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Coroutine[Any, Any, None]]


_numbers = count()


def nobody(position: ClientHello | None) -> str | None:
    """The reader's key of somebody who isn't logged in: one of its own, so that nobody is counted together with others.
    None where nothing is public, and for a page with a position on other streams: that was somebody's, and is over."""
    public = conf().PUBLIC
    if not public or (position is not None and not position.cursor.keys() <= set(public)):
        return None
    return f"{ANONYMOUS}{next(_numbers)}"


async def reader_of(live: Live, scope: Scope) -> str | None:
    """The reader's key. The user that an outer middleware has found counts, as do Channels' and a project's own."""
    if "user" not in scope:
        session = gate.session_key(scope)
        return await live.reader_of(session) if session else None
    user = scope["user"]
    if not getattr(user, "is_authenticated", False) or not getattr(user, "is_active", True):
        return None
    return api.key_of(user)


def session_of(scope: Scope, reader: str) -> str:
    """Key of the session that the reader came with, "" if it was something else: a token, say, beside anybody's cookie."""
    key = gate.session_key(scope) or ""
    if reader.startswith(ANONYMOUS):
        return ""
    if "user" not in scope:
        return key
    held = getattr(scope.get("session"), "_session_cache", None) or {}  # loaded by whoever found the user in it
    return key if held.get(SESSION_KEY) == reader else ""


class Outlet(Connection):
    """A connection that the server keeps open, as the hub sees it."""

    __slots__ = ("_closing", "_hub", "_send", "_sending")

    def __init__(self, reader: str, hello: ClientHello, session: str, send: Send, hub: Hub) -> None:
        super().__init__(reader, hello.epoch, hello.cursor, session)
        self._send, self._hub = send, hub
        self._sending: asyncio.Task[None] | None = None
        self._closing = False

    @abstractmethod
    def wrap(self, text: str) -> Message:
        """One frame as the server sends it."""

    @abstractmethod
    async def end(self, code: CloseCode) -> None:
        """Have the server end it."""

    def send(self, text: str) -> bool:
        """See ``Connection``."""
        if self._closing:
            return True
        return self._begin(self._send(self.wrap(text)))

    def close(self, code: CloseCode, *, retry: int = 0) -> None:
        """See ``Connection``. A client that doesn't read gets no farewell: the server drops it by its own means."""
        if self._closing:
            return
        self._closing = True
        self.cancel()
        self._begin(self._farewell(code, retry))

    def cancel(self) -> None:
        """Give up a send that is under way."""
        if self._sending is not None:
            self._sending.cancel()

    async def _farewell(self, code: CloseCode, retry: int) -> None:
        await self._send(self.wrap(encode(Bye(code=int(code), retry=retry))))
        await self.end(code)

    def _begin(self, work: Coroutine[Any, Any, None]) -> bool:
        try:
            task = eager.start(work)
        except Exception as error:  # noqa: BLE001 (servers differ in what they raise when the client has gone)
            logger.debug("transports: could not send: %r", error)
            return True
        if task is None:
            return True
        self._sending = task
        task.add_done_callback(self._sent)
        return False

    def _sent(self, task: asyncio.Task[None]) -> None:
        if self._sending is task:  # and not the farewell that has taken its place
            self._sending = None
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.debug("transports: could not send: %r", error)
        self._hub.free(self)

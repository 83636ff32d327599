"""The door into uvicorn, with an application of the test's own behind it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from livebell.transports.frames import EXTENSION, text_frame
from livebell.transports.uvicorn import UNHEARD, Protocol


class Application:
    """Accepts, adopts, and waits for the end."""

    def __init__(self) -> None:
        self.accepted: asyncio.Queue[Any] = asyncio.Queue()
        self.over = asyncio.Event()
        self.said: list[str] = []

    def filled(self) -> None:
        self.said.append("filled")

    def drained(self) -> None:
        self.said.append("drained")

    def ended(self) -> None:
        self.said.append("ended")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        writer = scope["extensions"][EXTENSION]
        self.write = writer.adopt(self)
        self.accepted.put_nowait(writer)
        while (await receive())["type"] != "websocket.disconnect":
            pass
        self.over.set()


@asynccontextmanager
async def adopted() -> AsyncIterator[tuple[Application, Any, ClientConnection]]:
    application = Application()
    config = uvicorn.Config(application, ws=Protocol, lifespan="off", log_level="critical")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve([listener]))
        async with connect(f"ws://127.0.0.1:{listener.getsockname()[1]}/", compression=None) as client:
            yield application, await application.accepted.get(), client
        server.should_exit = True
        await serving


async def test_a_finished_frame_arrives_as_it_is() -> None:
    """Beside what the client says, which the application still hears."""
    async with adopted() as (application, _, client):
        application.write(text_frame("one"))
        application.write(text_frame("two" * 100))
        assert [await client.recv(), await client.recv()] == ["one", "two" * 100]
        await client.close()
        await application.over.wait()
        assert application.said == ["ended"], "once, before the answer to the goodbye"


async def test_nobody_there_is_for_the_kernel_to_notice() -> None:
    """In place of two timers for each connection."""
    async with adopted() as (_, writer, _):
        connected = writer.transport.get_extra_info("socket")
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNHEARD
        assert writer.ping_timer is None
        assert writer.pong_timer is None


async def test_the_handshake_is_let_go_of() -> None:
    """Its headers and answer are a sixth of what a connection weighs."""
    async with adopted() as (_, writer, _):
        assert not hasattr(writer, "request")
        assert not hasattr(writer, "response")


async def test_who_reads_late_is_waited_for() -> None:
    """Full, then not: said once each."""
    async with adopted() as (application, _, client):
        sent = 0
        while "filled" not in application.said:
            application.write(text_frame("x" * 100_000))
            sent += 1
        for _ in range(sent):
            await client.recv()
        assert application.said == ["filled", "drained"]


async def test_who_does_not_read_can_be_dropped() -> None:
    """With all that the buffer holds; nothing is written after."""
    async with adopted() as (application, writer, client):
        while "filled" not in application.said:
            application.write(text_frame("x" * 100_000))
        writer.abort()
        await application.over.wait()
        assert application.said == ["filled", "ended"]
        with pytest.raises(Exception, match="no close frame received or sent"):
            while True:
                await client.recv()

"""A link that can be broken in every way a network knows. Give a server's port, connect to ``proxy.port`` instead.

latency     ``delay``: seconds that each piece waits
slow drip   ``rate``: bytes a second
black hole  ``swallow``: what is read goes nowhere, connections stay open and new ones are accepted
half-open   ``swallow = {"down"}``: only one direction is lost
frozen      ``freeze()``: nothing moves until ``thaw()``, then everything comes
refused     ``refuse()``: no new connections
cut, reset  ``cut()`` ends every connection in good order, ``reset()`` without a word
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Collection
from contextlib import suppress
from typing import Self

RESET = struct.pack("ii", 1, 0)
"""Linger for no time: the kernel ends the connection with RST."""
BOTH = frozenset({"up", "down"})
"""Directions: ``up`` to the server, ``down`` to the client."""


class Proxy:
    """Forwards TCP to a port of this machine."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.delay = 0.0
        self.rate = 0
        self.swallow: Collection[str] = ()
        self.refusing = False
        self.swallowed = 0
        """Bytes that went nowhere."""
        self.accepted = 0
        """Connections, in all."""
        self._moving = asyncio.Event()
        self._moving.set()
        self._open: set[Pair] = set()
        self._server: asyncio.Server

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        while self._open:
            self.reset()
            await asyncio.sleep(0.01)

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._open)

    def freeze(self) -> None:
        self._moving.clear()

    def thaw(self) -> None:
        self._moving.set()

    def refuse(self) -> None:
        self.refusing = True

    def cut(self) -> None:
        for pair in list(self._open):
            pair.close()

    def reset(self) -> None:
        for pair in list(self._open):
            pair.abort()

    def hole(self, directions: Collection[str] = BOTH) -> None:
        self.swallow = directions

    def heal(self) -> None:
        """All well again. Connections that have lost bytes are reset: TCP would not have lost them."""
        self.delay, self.rate, self.refusing = 0.0, 0, False
        if self.swallow:
            self.swallow = ()
            self.reset()
        self.thaw()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.refusing:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        await Pair(self, writer, back).carry(reader, there)


class Pair:
    """A connection and its other half."""

    def __init__(self, proxy: Proxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.proxy, self.ends = proxy, (client, server)

    async def carry(self, reader: asyncio.StreamReader, there: asyncio.StreamReader) -> None:
        """Both ways, until one end has gone."""
        self.proxy._open.add(self)
        client, server = self.ends
        pumps = [
            asyncio.create_task(self._pump("up", reader, server)),
            asyncio.create_task(self._pump("down", there, client)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self.proxy._open.discard(self)
            self.close()

    async def _pump(self, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self.proxy._moving.wait()
                if self.proxy.delay:
                    await asyncio.sleep(self.proxy.delay)
                if direction in self.proxy.swallow:
                    self.proxy.swallowed += len(data)
                    continue
                await self._write(writer, data)

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        while data and (rate := self.proxy.rate):
            step = max(rate // 10, 1)
            await asyncio.sleep(min(step, len(data)) / rate)
            writer.write(data[:step])
            await writer.drain()
            data = data[step:]
        writer.write(data)
        await writer.drain()

    def close(self) -> None:
        for end in self.ends:
            end.close()

    def abort(self) -> None:
        for end in self.ends:
            if (raw := end.get_extra_info("socket")) is not None and raw.fileno() >= 0:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            end.transport.abort()

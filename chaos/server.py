"""A live process of ours: uvicorn with ``chaos.site``."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any

import httpx

from tests.site import Site

FRAMED = "livebell.transports.uvicorn:Protocol"


class Server(Site):
    """Beside the options of ``tests.site``: *without*, a defence that is off; *ws*, uvicorn's WebSocket protocol;
    *send_buffer*, bytes that the kernel holds for each socket."""

    def __init__(self, *, without: str = "", ws: str = FRAMED, send_buffer: int = 0, **chosen: Any) -> None:
        super().__init__(**chosen)
        self.environment = {**self.environment, "CHAOS_WITHOUT": without}
        self.ws, self.send_buffer = ws, send_buffer
        self.listener: socket.socket | None = None

    def command(self) -> Sequence[str]:
        where = ["--fd", str(self.listener.fileno())] if self.listener else ["--port", str(self.port)]
        options = ["--ws", self.ws, "--ws-per-message-deflate", "false", "--no-access-log", "--backlog", "8192"]
        options += ["--timeout-graceful-shutdown", "5", "--host", "127.0.0.1"]
        return [sys.executable, "-m", "uvicorn", *options, *where, "chaos.site:application"]

    def popen_options(self) -> dict:
        more = {"pass_fds": [self.listener.fileno()]} if self.listener else {}
        return {**super().popen_options(), **more}

    def start(self) -> None:
        if self.send_buffer and self.listener is None:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.send_buffer)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("127.0.0.1", self.port))
        super().start()

    @property
    def said(self) -> str:
        """Its log."""
        return self.log.read_text(errors="replace")

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/chaos/", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        super().close()
        if self.listener:
            self.listener.close()

    def signal(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)

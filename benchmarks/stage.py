"""Where a run takes place: Redis and PostgreSQL beside the load, the server under test alone on its core."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from peers import Peer, Published, Publisher
from tests.services import PostgreSQL, Redis, Unavailable

from .contenders import CONTENDERS
from .cores import memory, on_server_core
from .load import Load
from .progress import Progress
from .record import Record

POSTGRESQL = {"max_connections": "1500", "shared_buffers": "512MB"}
"""django-eventstream and the tutorials' design hold a connection of the database for each socket, or nearly."""
SETTLE = 0.5
"""Seconds from the last connection to the first measurement."""


@dataclass
class Session:
    """A server with its clients and a publisher, ready."""

    peer: Peer
    load: Load
    publisher: Publisher
    connections: int
    grown: int
    """Bytes of memory that the connections have added to the server."""
    first: int = 1
    """Number of the next message."""

    def numbers(self, number: int) -> int:
        """The first of so many message numbers that have not been used yet."""
        first, self.first = self.first, self.first + number
        return first

    def publish(self, number: int, **how: Any) -> Published:
        """Publish, see ``Publisher.publish``. Raises ``ValueError`` if it fails."""
        published = self.publisher.publish(number=number, **how)
        if published.errors:
            raise ValueError(f"{published.errors} of {number} could not be published: {published.error}")
        return published


class Stage:
    """The services of a run, the record it writes, and how much of everything it does."""

    def __init__(self, record: Record, progress: Progress, *, quick: bool) -> None:
        self.record, self.progress, self.quick = record, progress, quick
        self.stack = ExitStack()
        self.databases: dict[str, str] = {}

    def __enter__(self) -> Stage:
        self.redis = self.stack.enter_context(Redis())
        self.postgresql = self.stack.enter_context(PostgreSQL(durable=True, **POSTGRESQL))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stack.close()

    def database(self, name: str) -> str:
        """The URL of a contender's own database, made when it is first asked for."""
        if name not in self.databases:
            self.databases[name] = self.postgresql.create_database(f"bench{len(self.databases)}")
        return self.databases[name]

    def make(self, name: str) -> Peer:
        """A contender, not started. Raises ``Unavailable``."""
        return CONTENDERS[name](self.redis.url, self.database(name))

    @contextmanager
    def serving(self, peer: Peer) -> Iterator[Peer]:
        """Its server, alone on its core."""
        try:
            with on_server_core():
                peer.start()
            yield peer
        finally:
            peer.stop(kill=True)  # some take long to say goodbye to a thousand
            peer.close()

    @contextmanager
    def session(self, peer: Peer, connections: int) -> Iterator[Session]:
        """A server with this many connections and a publisher."""
        clients = peer.clients(connections)
        with self.serving(peer):
            time.sleep(SETTLE)
            before = held(peer)
            with connected(peer, clients) as load, peer.publisher() as publisher:
                time.sleep(SETTLE)
                yield Session(peer, load, publisher, connections, held(peer) - before)

    def trying(self, name: str, work: Callable[[], None]) -> None:
        """Do something with a contender; if it can't be had, or breaks, that is a finding and not the end."""
        if name in self.record.missing:
            return
        try:
            work()
        except (Unavailable, OSError, ValueError) as reason:
            self.record.missing[name] = str(reason)
            self.progress.say(f"!!! {name}: {reason}")


def connected(peer: Peer, clients: Sequence[tuple[str, str]]) -> Load:
    """A load client with these clients."""
    options = {"subprotocol": peer.subprotocol, "ready": peer.ready, "in_flight": peer.in_flight}
    return Load(peer.transport, peer.port, peer.path, len(clients), clients=clients, **options)  # type: ignore[arg-type]


def held(peer: Peer) -> int:
    """Bytes of memory that the server holds."""
    assert peer.pid is not None
    peer.settle()
    return memory(peer.pid)

"""Who takes part: how each is made from a Redis and a database."""

from __future__ import annotations

from collections.abc import Callable

from peers import EpollLoop, EventStream, Nchan, Peer, PythonSocketIO, Seed, SocketIO

from .project.peer import Livebell

Maker = Callable[[str, str], Peer]
"""``maker(redis, database)``: the URLs of both."""

OURS = "Livebell"
PLAIN = "Livebell, plain ASGI send"
LIMIT = "epoll loop in C"
NCHAN = "Nchan"
SOCKET_IO = "Socket.IO"
TUTORIAL = "Channels tutorial"
STORED = "django-eventstream, stored"

CONTENDERS: dict[str, Maker] = {
    OURS: lambda redis, database: Livebell(redis=redis, database=database),
    LIMIT: lambda redis, database: EpollLoop(),
    NCHAN: lambda redis, database: Nchan(),
    SOCKET_IO: lambda redis, database: SocketIO(redis=redis),
    PLAIN: lambda redis, database: Livebell(redis=redis, database=database, door="plain"),
    "python-socketio": lambda redis, database: PythonSocketIO(redis=redis, database=database),
    "django-eventstream": lambda redis, database: EventStream(redis=redis, database=database),
    STORED: lambda redis, database: EventStream(redis=redis, database=database, storage="database"),
    TUTORIAL: lambda redis, database: Seed(redis=redis, database=database),
    f"{TUTORIAL}, pubsub": lambda redis, database: Seed(redis=redis, database=database, layer="pubsub"),
    f"{TUTORIAL}, daphne": lambda redis, database: Seed(redis=redis, database=database, server="daphne"),
    f"{TUTORIAL}, pubsub, daphne": lambda redis, database: Seed(
        redis=redis, database=database, layer="pubsub", server="daphne"
    ),
}
FAST = (OURS, LIMIT, NCHAN, SOCKET_IO)
"""Those that can serve 5,000 connections ten messages a second."""

"""Livebell's defences, and how to take each away: from outside, in the process that is told so by ``CHAOS_WITHOUT``.

The product knows nothing of this. A control runs with one defence off, and the count has to show what it was good for.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

DEFENCES: dict[str, Callable[[], None]] = {}


def defence(function: Callable[[], None]) -> Callable[[], None]:
    DEFENCES[function.__name__] = function
    return function


def apply() -> None:
    """Take away what the environment names, and set the clock if it says so. Django must be set up."""
    for name in filter(None, os.environ.get("CHAOS_WITHOUT", "").split(",")):
        DEFENCES[name]()
    if shift := float(os.environ.get("CHAOS_CLOCK", "0")):
        shift_clock(shift)


@defence
def position_check() -> None:
    """Nobody compares positions with the database; a hint that is lost stays lost."""
    from livebell.live import Live

    async def never(self: Live) -> None:
        await asyncio.get_running_loop().create_future()

    Live._check = never  # type: ignore[method-assign]


@defence
def probe() -> None:
    """The subscriber doesn't ask whether its link lives."""
    from livebell.bus import redis

    redis.PROBE_EVERY = 1e6


@defence
def sweeper() -> None:
    """Nobody looks into the outbox for what a crash left behind."""
    from livebell import live

    live.sweep = lambda highest: highest  # type: ignore[assignment]


@defence
def short_timeouts() -> None:
    """The publisher's Redis client has its defaults, and is asked again each time."""
    import redis

    from livebell.bus.base import Breaker
    from livebell.bus.redis import RedisBus
    from livebell.conf import conf

    plain = RedisBus.__init__

    def init(self: RedisBus) -> None:
        plain(self)
        where = redis.connection.parse_url(conf().REDIS_URL)
        self._client = redis.Redis(host=where["host"], port=where["port"])

    RedisBus.__init__ = init  # type: ignore[method-assign]
    Breaker.closed = property(lambda self: True)  # type: ignore[assignment, method-assign]


@defence
def key() -> None:
    """A publisher's key is thrown away."""
    from livebell import api

    plain = api.check_content

    def without(**fields: Any) -> dict[str, Any]:
        return plain(**{**fields, "key": None})

    api.check_content = without


@defence
def own_transaction() -> None:
    """Published over a connection of its own, as by a task queue or a broker: the caller's rollback doesn't reach it."""
    from concurrent.futures import ThreadPoolExecutor

    from livebell import api

    plain, elsewhere = api.publish, ThreadPoolExecutor(1)

    def publish(*given: Any) -> Any:
        return elsewhere.submit(plain, *given).result()

    api.publish = publish


@defence
def numbering_after_commit() -> None:
    """The number is taken inside the caller's transaction, which holds the stream's lock until it ends."""
    from livebell import api

    api._after_commit = lambda function: function()


@defence
def reconnect() -> None:
    """A broken connection to the database is kept and used again."""
    from livebell import live

    live._with_connection = lambda function, *args, **kwargs: function(*args, **kwargs)


@defence
def rejoin() -> None:
    """A member of the channel layer's group believes to be one for ever."""
    from livebell.bus import channel_layer

    channel_layer.REJOIN_EVERY = 1e9


@defence
def admission() -> None:
    """Every socket asks the database for itself, in a thread of its own."""
    from concurrent.futures import ThreadPoolExecutor

    from livebell import sessions
    from livebell.live import Live

    plain = Live.__init__

    def init(self: Live) -> None:
        plain(self)
        self._workers = ThreadPoolExecutor(80)

    async def reader_of(self: Live, session: str) -> str | None:
        return (await self.db(sessions.users_of, [session])).get(session)

    Live.__init__ = init  # type: ignore[method-assign]
    Live.reader_of = reader_of  # type: ignore[method-assign]


@defence
def lock_order() -> None:
    """Streams are locked in the order in which the caller named them."""
    from livebell.store import outbox

    ordered = outbox._publish_at_once
    outbox._publish_at_once = lambda d: ordered(d).replace("ORDER BY name", "")


@defence
def back_pressure() -> None:
    """A socket takes whatever it is given, read or not."""
    from livebell.transports.websocket import FramedSocket

    FramedSocket.filled = lambda self: None  # type: ignore[method-assign]


@defence
def reset_when_far() -> None:
    """Whoever returns is sent all it has missed, however much that is."""
    from livebell import hub

    hub.continues = lambda cursor, at, floor: True


@defence
def new_epoch() -> None:
    """That the database is older than what was sent is taken for nothing."""
    from dataclasses import replace

    from livebell import store

    plain, pull = store.moved, store.pull

    def moved(heads: Any, revs: Any) -> Any:
        found = plain(heads, revs)
        return replace(found, streams={name: at for name, at in found.streams.items() if (at or 0) >= heads[name]})

    store.moved = moved
    store.pull = lambda wanted: {at: replace(page, head=max(page.head, at[1])) for at, page in pull(wanted).items()}


@defence
def floor() -> None:
    """What has been pruned is passed over in silence."""
    from dataclasses import replace

    from livebell import live, store

    pull, standings = store.pull, store.standings
    store.pull = lambda wanted: {at: replace(page, floor=0) for at, page in pull(wanted).items()}
    store.standings = lambda wanted: {key: replace(one, floor={}) for key, one in standings(wanted).items()}
    assert live.store is store


@defence
def content_check() -> None:
    """What is published is not looked at."""
    from livebell import api

    defaults = {
        "body": "",
        "url": "",
        "level": "info",
        "kind": "",
        "data": None,
        "actor": "",
        "key": None,
        "expires": None,
    }
    api.check_content = lambda **fields: {**defaults, **fields, "actor": str(fields.get("actor") or "")}


@defence
def fork() -> None:
    """The thread that speaks to the channel layer is believed to have come along through the fork."""
    from livebell.bus import base, channel_layer

    channel_layer.os = type("os", (), {"getpid": staticmethod(lambda: 1)})  # type: ignore[assignment]
    bus = base.get_bus()
    base.get_bus.cache_clear = lambda: None  # type: ignore[method-assign]
    channel_layer.get_bus = base.get_bus = lambda: bus  # type: ignore[assignment, attr-defined]
    from livebell import api

    api.get_bus = base.get_bus


@defence
def present() -> None:
    """Not a defence but the future: a server whose frames have more fields and types than clients of today know."""
    import msgspec

    from livebell import hub, live

    plain = hub.encode

    def encode(frame: Any) -> str:
        text = plain(frame)
        fields = msgspec.json.decode(text)
        more = [{**entry, "mood": "calm"} for entry in fields.get("entries", [])]
        fields |= {"future": {"a": [1]}, **({"entries": more} if more else {})}
        return msgspec.json.encode(fields).decode()

    async def ping(self: hub.Hub) -> None:
        for connection in list(self.connections):
            if connection.started and not connection.busy_since:
                self._send(connection, '{"type":"weather","sky":"blue"}')

    hub.encode, hub.Hub.ping = encode, ping  # type: ignore[method-assign]
    live.PING_EVERY = 1


@defence
def room() -> None:
    """Not a defence either: SQLite may not grow beyond the pages that the file named by ``CHAOS_PAGES`` allows."""
    from django.db.backends.signals import connection_created

    def limit(connection: Any, **kwargs: Any) -> None:
        with open(os.environ["CHAOS_PAGES"]) as file:
            pages = file.read()
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA max_page_count = {int(pages)}")

    connection_created.connect(limit, weak=False)


def shift_clock(seconds: float) -> None:
    """This process believes that it is *seconds* later (or, below 0, earlier)."""
    from django.utils import timezone

    real, now = time.time, timezone.now
    time.time = lambda: real() + seconds
    timezone.now = lambda: now() + timedelta(seconds=seconds)

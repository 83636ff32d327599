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


def shift_clock(seconds: float) -> None:
    """This process believes that it is *seconds* later (or, below 0, earlier)."""
    from django.utils import timezone

    real, now = time.time, timezone.now
    time.time = lambda: real() + seconds
    timezone.now = lambda: now() + timedelta(seconds=seconds)

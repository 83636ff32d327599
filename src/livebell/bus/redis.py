"""Redis publish/subscribe: a plain synchronous line to send, an asyncio subscriber to listen, and a probe of our own.

The line does not wait for Redis to answer a PUBLISH: that is a quarter of what a publish costs, and the answer to a hint is
of no use to who gave it. It is read before the next one is sent, so that a Redis that refuses is noticed one publish later.

The probe: the subscriber sends itself a message every five seconds. redis-py did not notice a link that swallows
everything within 60 s, with or without its own health check; two missing probes do in eleven.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any
from uuid import uuid4

import msgspec
import redis
import redis.asyncio
from redis.asyncio.client import PubSub
from redis.backoff import NoBackoff
from redis.retry import Retry

from ..conf import conf
from .base import Bus, Listener, deliver, within

logger = logging.getLogger("livebell.bus")

LIMIT = 0.25
"""Seconds that a publisher waits for Redis, once."""
PROBE_EVERY = 5.0
"""Seconds between two probes; a link that has not answered two is given up."""
RETRY_EVERY = 1.0
"""Seconds between two attempts to connect."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class RedisBus(Bus):
    """``LIVEBELL = {"BUS": "redis", "REDIS_URL": …}``. Redis 6.2 or later, or Valkey."""

    def __init__(self) -> None:
        super().__init__()
        self.linked = False
        self._channel = f"{conf().PREFIX}:bus"
        self._client = redis.Redis.from_url(
            conf().REDIS_URL, socket_timeout=LIMIT, socket_connect_timeout=LIMIT, retry=Retry(NoBackoff(), 0)
        )
        self._of_thread = threading.local()

    def send(self, message: dict[str, Any]) -> None:
        """One PUBLISH over this thread's line."""
        line: Line | None = getattr(self._of_thread, "line", None)
        if line is None:
            line = self._of_thread.line = Line(self._client.connection_pool.make_connection())
        line.publish(self._channel, _encode(message))

    async def listen(self, listener: Listener) -> None:
        """Subscribe, and again whenever the link fails."""
        while True:
            try:
                await self._listen_once(listener)
            except Exception as error:  # noqa: BLE001 (whatever it is, only a new link helps)
                logger.warning("bus: lost Redis, trying again: %r", error)
            self.linked = False
            listener.gap()
            await asyncio.sleep(RETRY_EVERY)

    def close(self) -> None:
        """Close this thread's line. Those of other threads end with them."""
        line: Line | None = self._of_thread.__dict__.pop("line", None)
        if line is not None:
            line.close()
        self._client.close()

    async def _listen_once(self, listener: Listener) -> None:
        probe = f"{conf().PREFIX}:probe:{uuid4().hex}"
        client = redis.asyncio.Redis.from_url(
            conf().REDIS_URL, socket_connect_timeout=2.0, socket_timeout=None, retry=Retry(NoBackoff(), 0)
        )
        async with client, client.pubsub() as pubsub:
            await within(PROBE_EVERY, pubsub.subscribe(self._channel, probe))
            await self._hear(listener, pubsub, client, probe)

    async def _hear(self, listener: Listener, pubsub: PubSub, client: redis.asyncio.Redis, probe: str) -> None:
        probing = asyncio.create_task(self._probe(client, probe))
        try:
            async for message in self._messages(pubsub):
                if message["type"] == "subscribe":
                    self.linked = True
                    listener.gap()
                elif message["channel"].decode() == self._channel:
                    self._deliver(listener, message["data"])
        finally:
            probing.cancel()

    async def _messages(self, pubsub: PubSub) -> Any:
        """Every message, and a ``TimeoutError`` when two probes have not come back."""
        while True:
            async with asyncio.timeout(2 * PROBE_EVERY):
                message = await pubsub.get_message(timeout=None)
            if message is not None:
                yield message

    async def _probe(self, client: redis.asyncio.Redis, probe: str) -> None:
        while True:
            await asyncio.sleep(PROBE_EVERY)
            try:
                await within(PROBE_EVERY, client.publish(probe, b""))
            except (redis.RedisError, OSError, TimeoutError) as error:
                logger.info("bus: probe not sent: %r", error)

    def _deliver(self, listener: Listener, data: bytes) -> None:
        try:
            deliver(listener, _decode(data))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            logger.warning("bus: %d bytes that aren't JSON were ignored", len(data))


class Line:
    """One connection of one thread, that is one answer behind."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._owed = False

    def publish(self, channel: str, data: bytes) -> None:
        """Send it. Takes at most ``LIMIT``; raises if the line is broken, or if Redis refused the one before."""
        try:
            if not self._settled():
                self._connection.disconnect()
            self._connection.send_command("PUBLISH", channel, data)
        except BaseException:
            self.close()
            raise
        self._owed = True

    def close(self) -> None:
        """Close the connection; the next publish opens it again."""
        self._owed = False
        self._connection.disconnect()

    def _settled(self) -> bool:
        """Read the answer that is owed. False if Redis has closed the connection meanwhile."""
        try:
            if self._owed:
                self._owed = False
                self._connection.read_response()
            return not self._connection.can_read(timeout=0)  # the end of a connection can be read, too
        except redis.TimeoutError:
            raise
        except redis.ConnectionError:
            return False

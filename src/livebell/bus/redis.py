"""Redis publish/subscribe: a plain synchronous client to send, an asyncio subscriber to listen, and a probe of our own.

The probe: the subscriber sends itself a message every five seconds. redis-py did not notice a link that swallows
everything within 60 s, with or without its own health check; two missing probes do in eleven.
"""

from __future__ import annotations

import asyncio
import logging
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
        # The pool notices a fork by itself and is safe to share between threads.
        self._client = redis.Redis.from_url(
            conf().REDIS_URL, socket_timeout=LIMIT, socket_connect_timeout=LIMIT, retry=Retry(NoBackoff(), 0)
        )

    def send(self, message: dict[str, Any]) -> None:
        """One PUBLISH over a pooled connection."""
        self._client.publish(self._channel, _encode(message))

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
        """Close the pool."""
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

"""Any Channels layer as a bus, and the door for scripts that know only the layer.

A layer may lose what it is given (capacity, expiry, link kills): here it carries hints, so nothing is lost with it. The
membership is renewed every minute, because ``channels_redis.core`` forgets it after a day, and probed like a Redis link.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from threading import Lock, Thread
from typing import Any

from channels.layers import InMemoryChannelLayer, get_channel_layer

from ..conf import conf
from .base import Bus, Listener, deliver, within

logger = logging.getLogger("livebell.bus")

GROUP = "livebell"
"""The group that every live process is in; scripts send ``livebell.publish`` to it."""
LIMIT = 0.25
PROBE_EVERY = 5.0
REJOIN_EVERY = 60.0
RETRY_EVERY = 1.0


class ChannelLayerBus(Bus):
    """``LIVEBELL = {"BUS": "channel-layer"}``, over the layer named by ``CHANNEL_LAYER``."""

    def __init__(self) -> None:
        super().__init__()
        self.linked = False
        self._courier = Courier()

    def send(self, message: dict[str, Any]) -> None:
        """One ``group_send`` from a loop that keeps its connection; an in-memory layer reaches nobody else anyway."""
        layer = layer_or_none()
        if layer is None or isinstance(layer, InMemoryChannelLayer):
            return
        self._courier.run(layer.group_send(GROUP, {"type": "livebell.bus", **message}))

    async def listen(self, listener: Listener) -> None:
        """Hear hints. Publishes by scripts come through ``listen_to_layer`` as well."""
        await listen_to_layer(listener, self._link)

    def _link(self, up: bool) -> None:
        self.linked = up

    def close(self) -> None:
        """End the courier's thread, and the connections that the layer holds for it."""
        layer = layer_or_none()
        has_pools = hasattr(type(layer), "close_pools")  # the pubsub layer answers for every name, but only in a loop
        self._courier.stop(layer.close_pools if has_pools else None)


def layer_or_none() -> Any:
    """The configured layer, or None if the project has none."""
    return get_channel_layer(conf().CHANNEL_LAYER)


async def listen_to_layer(listener: Listener, link: Callable[[bool], None] = lambda up: None) -> None:
    """Be a member of the group, and again whenever the layer fails, until cancelled. *link* is told which of the two."""
    layer = layer_or_none()
    if layer is None:
        logger.warning("bus: CHANNEL_LAYERS has no %r, so there is nothing to listen to", conf().CHANNEL_LAYER)
        await asyncio.get_running_loop().create_future()
    while True:
        try:
            await Membership(layer, listener, link).live()
        except Exception as error:  # noqa: BLE001 (each layer raises its own)
            logger.warning("bus: lost the channel layer, trying again: %r", error)
        link(False)
        listener.gap()
        await asyncio.sleep(RETRY_EVERY)


class Membership:
    """One channel in the group, from joining it to the first failure."""

    def __init__(self, layer: Any, listener: Listener, link: Callable[[bool], None] = lambda up: None) -> None:
        self.layer, self.listener, self.link = layer, listener, link
        self.heard = 0.0
        self.channel = ""

    async def live(self) -> None:
        """Join, then hear and probe until one of them fails."""
        self.channel = await within(PROBE_EVERY, self.layer.new_channel())
        await within(PROBE_EVERY, self.layer.group_add(GROUP, self.channel))
        self.heard = _now()
        self.link(True)
        self.listener.gap()
        hearing, probing = asyncio.create_task(self._hear()), asyncio.create_task(self._probe())
        try:
            done, _ = await asyncio.wait({hearing, probing}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await self._leave(hearing, probing)

    async def _leave(self, *tasks: asyncio.Task[None]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await within(LIMIT, self.layer.group_discard(GROUP, self.channel))
        except Exception as error:  # noqa: BLE001 (each layer raises its own)
            logger.debug("bus: membership left to expire: %r", error)

    async def _hear(self) -> None:
        while True:
            try:
                message = await self.layer.receive(self.channel)
            except Exception as error:
                # channels_redis.core with redis-py 8 gives up an idle read after 5 s (channels_redis#422).
                if type(error).__name__ != "TimeoutError":
                    raise
                continue
            self.heard = _now()
            self._dispatch(message)

    def _dispatch(self, message: Any) -> None:
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "livebell.bus":
            deliver(self.listener, message)
        elif kind == "livebell.publish":
            self.listener.publish({name: value for name, value in message.items() if name != "type"})
        elif kind != "livebell.probe":
            logger.warning("bus: a message of type %.60r was ignored", kind)

    async def _probe(self) -> None:
        joined = _now()
        while _now() - self.heard < 2 * PROBE_EVERY + 0.5:
            await asyncio.sleep(PROBE_EVERY)
            await within(PROBE_EVERY, self.layer.send(self.channel, {"type": "livebell.probe"}))
            if _now() - joined > REJOIN_EVERY:
                await within(PROBE_EVERY, self.layer.group_add(GROUP, self.channel))
                joined = _now()
        raise TimeoutError("two probes have not come back")


class Courier:
    """A thread with an event loop, so that sync code reaches the layer without a new connection for each call."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread
        self._pid = 0

    def run(self, coroutine: Any) -> None:
        """Run it there; raises what it raises, or ``TimeoutError`` after 250 ms."""
        future = asyncio.run_coroutine_threadsafe(within(LIMIT, coroutine), self._running())
        future.result(timeout=LIMIT)

    def stop(self, last: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """End the thread, if there is one, after running *last* there."""
        if self._loop is None or self._pid != os.getpid():
            return
        if last is not None:
            self.run(last())
        with self._lock:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None
        self._thread.join(timeout=LIMIT)

    def _running(self) -> asyncio.AbstractEventLoop:
        """The loop; another one after a fork, which takes no threads along."""
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                self._loop, self._pid = asyncio.new_event_loop(), os.getpid()
                self._thread = Thread(target=_serve, args=[self._loop], name="livebell-courier", daemon=True)
                self._thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks))
    finally:
        loop.close()


def _now() -> float:
    return asyncio.get_running_loop().time()

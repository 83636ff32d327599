"""The contract of a bus, and the bus of this process.

A bus wakes other processes up. It may lose, double and reorder; it carries no truth. What arrives is checked against the
database before anybody hears of it, so a forged hint can only cause one query (invariants 4 and 6).
"""

from __future__ import annotations

import asyncio
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping
from functools import cache
from threading import Lock
from time import monotonic
from typing import Any, Protocol, TypeAlias, TypeVar

from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.module_loading import import_string

from ..conf import conf

logger = logging.getLogger("livebell.bus")

T = TypeVar("T")

Hints: TypeAlias = Mapping[str, int]
"""``{"user:42": 17}``: that stream has moved to 17. ``{"reader:42": 5}``: that reader's marks have rev 5.
``{"livebell:pruned:user:42": 9}``: that stream has been pruned up to 9."""


class Listener(Protocol):
    """What a live process does with what it hears. Called from any thread; returns at once; never raises."""

    def hint(self, hints: Hints) -> None:
        """Somebody says that these have moved."""

    def push(self, push: dict[str, Any]) -> None:
        """An event without storage."""

    def publish(self, message: dict[str, Any]) -> None:
        """A script that knows only the channel layer wants something published."""

    def gap(self) -> None:
        """Something may have been missed: compare every position with the database."""


class Bus(ABC):
    """Base of every bus. A subclass writes ``send`` and ``listen``."""

    check_every: float = 2.0
    """Seconds between two position checks of a process that listens, ± 20 %. Not only for a broken link: a publisher that
    dies between numbering and telling is missed by every bus. Behind a change test, and at most a twentieth of the time."""
    linked: bool = True
    """Whether what other processes say arrives here now, as far as this one knows."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._breaker = Breaker()

    def publish(self, message: dict[str, Any]) -> None:
        """Tell every process, this one first. Takes at most 250 ms, never raises, and may tell nobody.

        *message* has one of the keys ``hints`` (``Hints``), ``push``, or ``check`` (True: compare every position with the
        database now); it is plain JSON.
        """
        for listener in tuple(self._listeners):
            deliver(listener, message)
        if self._breaker.closed:
            try:
                self.send(message)
            except Exception as error:  # noqa: BLE001 (whatever the broker's client raises: the publisher goes on)
                self._breaker.trip(error)
            else:
                self._breaker.mend()

    @abstractmethod
    def send(self, message: dict[str, Any]) -> None:
        """Tell the other processes, in at most 250 ms; may raise. Called from sync code, in any thread."""

    @abstractmethod
    async def listen(self, listener: Listener) -> None:
        """Hand what other processes say to *listener*, until cancelled. Heals its own connection, and calls
        ``listener.gap`` each time it has one again."""

    def attach(self, listener: Listener) -> None:
        """Let a listener of this process hear what this process publishes, without the way round."""
        self._listeners.add(listener)

    def detach(self, listener: Listener) -> None:
        """End that."""
        self._listeners.discard(listener)

    def close(self) -> None:  # noqa: B027 (most have nothing to give back)
        """Give back what is held open."""


class Breaker:
    """After a failure, leaves the broker alone for a while: a broken one costs one timeout and not one for each publish."""

    PAUSE = 2.0
    """Seconds."""

    def __init__(self) -> None:
        self._until = 0.0
        self._lock = Lock()

    @property
    def closed(self) -> bool:
        """Whether to try. After the pause one caller at a time tries; the others still don't wait."""
        with self._lock:
            now = monotonic()
            if now < self._until:
                return False
            if self._until:
                self._until = now + 0.5
            return True

    def trip(self, error: Exception) -> None:
        """Note a failure."""
        with self._lock:
            first = not self._until
            self._until = monotonic() + self.PAUSE
        if first:
            logger.warning("bus: can't send, will be found by the position check: %r", error)

    def mend(self) -> None:
        """Note a success."""
        if self._until:
            with self._lock:
                self._until = 0.0
            logger.warning("bus: sending again")


def deliver(listener: Listener, message: object) -> None:
    """Hand over one message that came over the bus, whatever it turns out to be."""
    if not isinstance(message, dict):
        return
    if isinstance(hints := message.get("hints"), dict):
        listener.hint({name: seq for name, seq in hints.items() if isinstance(name, str) and type(seq) is int})
    if isinstance(push := message.get("push"), dict):
        listener.push(push)
    if message.get("check") is True:
        listener.gap()


async def within(seconds: float, work: Awaitable[T]) -> T:
    """Await it, or raise ``TimeoutError``. Until 3.12 ``asyncio.wait_for`` can swallow a cancellation."""
    async with asyncio.timeout(seconds):
        return await work


@cache
def get_bus() -> Bus:
    """The bus of this process, made at first use and again after ``LIVEBELL`` changes."""
    bus: Bus = import_string(conf().bus_path)()
    return bus


# A fork may leave a lock locked for ever; the child makes a bus of its own. It has no live side that could listen.
os.register_at_fork(after_in_child=get_bus.cache_clear)


@receiver(setting_changed)
def forget(*, setting: str, **kwargs: object) -> None:
    """Make another bus after ``override_settings``."""
    if setting in ("LIVEBELL", "CHANNEL_LAYERS") and get_bus.cache_info().currsize:
        get_bus().close()
        get_bus.cache_clear()

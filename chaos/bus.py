"""A Redis bus that does what a bus may do: of ten hints one is lost, one comes twice, one comes late and out of order.
Chosen like any other, by its dotted path: ``LIVEBELL = {"BUS": "chaos.bus.Unreliable"}``."""

from __future__ import annotations

from contextlib import suppress
from random import random, uniform
from threading import Timer
from typing import Any

from redis import RedisError

from livebell.bus.redis import RedisBus


class Unreliable(RedisBus):
    """Loses, doubles and reorders."""

    def send(self, message: dict[str, Any]) -> None:
        fate = random()
        if fate < 0.1:
            return
        if fate < 0.2:
            Timer(uniform(0.01, 1.0), self._late, [message]).start()
            return
        super().send(message)
        if fate < 0.3:
            super().send(message)

    def _late(self, message: dict[str, Any]) -> None:
        with suppress(RedisError):  # then it is one more that is lost
            super().send(message)

"""How many are let in: by the process, by one address as long as nobody is known there, by one user until the hello.

A place is taken before anything is asked of the database, and kept until the server says that the client has gone. So a
flood costs file descriptors and nothing else, and the file descriptors are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from random import randint
from threading import Lock

from ..conf import conf

RETRY = (2_000, 8_000)
"""Milliseconds after which those who found it full are told to come back; each gets another figure between the two."""


class Full(Exception):
    """Too many are here; ``retry`` is in milliseconds."""

    def __init__(self) -> None:
        super().__init__("too many connections")
        self.retry = randint(*RETRY)


class Place:
    """One connection's place. It waits under a name, of which there may be so many; then it only counts for the process."""

    def __init__(self, admission: Admission) -> None:
        self._admission, self._name = admission, ""

    def wait_as(self, name: str, most: int) -> None:
        """Wait under this name from now on, "" for no waiting any more. Raises :class:`Full` if *most* do so already."""
        self._admission.rename(self._name, name, most)
        self._name = name

    def settle(self) -> None:
        """It is known who it is, and what for."""
        self.wait_as("", 0)


class Admission:
    """All places of a process."""

    def __init__(self) -> None:
        self.taken = 0
        self.waiting: Counter[str] = Counter()
        self._lock = Lock()  # a process may have several event loops

    @contextmanager
    def enter(self, address: str) -> Iterator[Place]:
        """A place for as long as the block lasts, waiting under its address. Raises :class:`Full`."""
        place = Place(self)
        with self._lock:
            if self.taken >= conf().MAX_PROCESS_CONNECTIONS:
                raise Full
            self.taken += 1
        try:
            if address:
                place.wait_as(f"address:{address}", conf().MAX_ADDRESS_CONNECTIONS)
            yield place
        finally:
            place.settle()
            with self._lock:
                self.taken -= 1

    def rename(self, old: str, new: str, most: int) -> None:
        """See ``Place.wait_as``."""
        with self._lock:
            if new and self.waiting[new] >= most:
                raise Full
            for name, step in ((old, -1), (new, 1)):
                self.waiting[name] += step
                if not name or self.waiting[name] <= 0:
                    del self.waiting[name]


admission = Admission()
"""Of this process."""

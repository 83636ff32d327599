"""How many are let in: by the process, by one address as long as it isn't known who they are, by one user until the hello.

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

    def __init__(self, admission: Admission, address: str) -> None:
        self._admission, self._address, self._name = admission, address, ""

    def unknown(self) -> None:
        """It isn't known yet who it is. Raises :class:`Full` if too many of its address are."""
        self._at_address("unknown")

    def nobody(self) -> None:
        """It is nobody, and may stay. These are counted apart, so that they keep nobody out who is somebody. Raises
        :class:`Full`."""
        self._at_address("nobody")

    def known(self, reader: str) -> None:
        """It is this reader, and has not said hello yet. Raises :class:`Full`."""
        self._wait(f"reader {reader}", conf().MAX_CONNECTIONS)

    def settle(self) -> None:
        """It is known who it is, and what for: only the process still counts it."""
        self._wait("", 0)

    def _at_address(self, what: str) -> None:
        """An address that the server doesn't know must not be one address for all."""
        self._wait(f"{what} {self._address}" if self._address else "", conf().MAX_ADDRESS_CONNECTIONS)

    def _wait(self, name: str, most: int) -> None:
        self._admission.rename(self._name, name, most)
        self._name = name


class Admission:
    """All places of a process."""

    def __init__(self) -> None:
        self.taken = 0
        self.waiting: Counter[str] = Counter()
        self._lock = Lock()  # a process may have several event loops

    @contextmanager
    def enter(self, address: str) -> Iterator[Place]:
        """A place for as long as the block lasts, waiting under its address. Raises :class:`Full`."""
        place = Place(self, address)
        with self._lock:
            if self.taken >= conf().MAX_PROCESS_CONNECTIONS:
                raise Full
            self.taken += 1
        try:
            place.unknown()
            yield place
        finally:
            place.settle()
            with self._lock:
                self.taken -= 1

    def rename(self, old: str, new: str, most: int) -> None:
        """A place waits under another name. Raises :class:`Full` if *most* do so already."""
        with self._lock:
            if new and self.waiting[new] >= most:
                raise Full
            for name, step in ((old, -1), (new, 1)):
                self.waiting[name] += step
                if not name or self.waiting[name] <= 0:
                    del self.waiting[name]


admission = Admission()
"""Of this process."""

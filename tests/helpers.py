"""What several tests need: people, what they see, and an ear on the bus."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from livebell import api, store
from livebell.bus import Hints, get_bus
from livebell.models import Entry, Notification, Outbox

commits = pytest.mark.django_db(transaction=True)
"""For tests in which transactions really commit; what they leave is deleted afterwards, which takes its time."""


def person(name: str = "ann", **more: Any) -> Any:
    return get_user_model().objects.create_user(name, **more)


def people(count: int) -> list[Any]:
    """Many users at once, without the signals."""
    model = get_user_model()
    return model.objects.bulk_create([model(username=f"user{number}") for number in range(count)])


def items(user: Any, **more: Any) -> list[store.Item]:
    page, _ = store.items(api.key_of(user), api.standing(user), **more)
    return page


def titles(user: Any, **more: Any) -> list[str]:
    """The titles in a user's list, the newest first."""
    return [item.title for item in items(user, **more)]


def log(stream: str, after: int = 0) -> list[str]:
    """A stream's entries as text: titles, ``-3`` for the retraction of 3, ``gone``."""
    entries = store.pull([(stream, after)])[stream, after].entries
    return [entry.title or ("gone" if entry.gone else f"-{entry.retracts}") for entry in entries]


def seqs(stream: str) -> list[int]:
    return list(Entry.objects.filter(stream__name=stream).order_by("seq").values_list("seq", flat=True))


def nothing_stored() -> bool:
    return not (Outbox.objects.exists() or Notification.objects.exists() or Entry.objects.exists())


class Ear:
    """A listener that writes down what it hears."""

    def __init__(self) -> None:
        self.hints: list[Hints] = []
        self.pushes: list[dict[str, Any]] = []

    def hint(self, hints: Hints) -> None:
        self.hints.append(hints)

    def push(self, push: dict[str, Any]) -> None:
        self.pushes.append(push)

    def publish(self, message: dict[str, Any]) -> None:
        raise AssertionError(message)

    def gap(self) -> None:
        raise AssertionError("gap")

    def heard(self) -> dict[str, int]:
        """All hints as one; the last of each name."""
        return {name: position for hints in self.hints for name, position in hints.items()}


@contextmanager
def listening() -> Iterator[Ear]:
    ear, bus = Ear(), get_bus()
    bus.attach(ear)
    try:
        yield ear
    finally:
        bus.detach(ear)


def at_once(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine without an event loop: one thread plays everybody, so that a history is the same each time."""
    try:
        while True:
            work.send(None)
    except StopIteration:
        pass

"""A process that publishes and keeps a ledger. Its plan is its argument, JSON; it says ``ready``, and begins at a line of
input::

    python -m chaos.publisher '{"name": "p0", "ledger": "p0.ledger", "count": 100, "users": [1, 2]}'
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import django

from .ledger import Pen


@dataclass(frozen=True)
class Plan:
    """What to publish."""

    name: str
    ledger: str
    count: int
    rate: float = 0.0
    """A second, at even intervals whatever each takes; 0: as fast as they commit."""
    users: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    audiences: dict[str, float] = field(default_factory=lambda: {"user": 1.0})
    """Weights of ``user``, ``group`` and ``all``."""
    ways: dict[str, float] = field(default_factory=lambda: {"plain": 1.0})
    """Weights of the functions in ``WAYS``."""
    think: float = 0.0
    """Seconds, at the most, that a transaction stays open after the publish."""
    size: int = 0
    """Characters of the body."""
    seed: int = 0
    many: int = 0
    """Recipients of one publish, chosen at random, instead of one audience."""
    reconnects: bool = False
    """Opens a connection to the database for each publish."""
    keys: str = ""
    """Publish under the ``key`` of this prefix and the number, the same in every publisher."""


SYSTEM = os.environ.get("CHAOS_SYSTEM", "")
"""Module of another system's ``publish``; "": Livebell."""


class Failed(Exception):
    """Raised by a caller after it has published."""


class Publisher:
    """Carries out a plan."""

    def __init__(self, plan: Plan) -> None:
        from django.contrib.auth import get_user_model
        from django.contrib.auth.models import Group

        self.plan, self.pen, self.random = plan, Pen(Path(plan.ledger)), Random(f"{plan.seed}{plan.name}")
        self.other = import_module(SYSTEM).publish if SYSTEM else None
        self.users = list(get_user_model().objects.filter(pk__in=plan.users).order_by("pk"))
        self.groups = list(Group.objects.filter(pk__in=plan.groups).order_by("pk"))

    def run(self) -> None:
        began = time.monotonic()
        for number in range(self.plan.count):
            if self.plan.rate:
                time.sleep(max(0.0, began + number / self.plan.rate - time.monotonic()))
            self.publish_one(number)

    def publish_one(self, number: int) -> None:
        """One publish, in one of the ways, with its lines in the ledger."""
        key = f"{self.plan.keys or self.plan.name + '-'}{number}"
        if self.plan.keys:  # all publishers mean the same
            self.random = Random(key)
        way = self.choose(self.plan.ways)
        if way in READERS:
            try:
                READERS[way](self)
            except Exception:
                heal()
            return
        audience = self.audience()
        self.pen.intent(key, name_of(audience))
        began = time.monotonic()
        try:
            stays = WAYS[way](self, key, audience)
        except Exception as error:
            self.pen.error(key, error, time.monotonic() - began)
            heal()
            return
        if stays:
            self.pen.ok(key, time.monotonic() - began)
        else:
            self.pen.rolled_back(key)
        if self.plan.reconnects:
            heal()

    def choose(self, weights: dict[str, float]) -> str:
        return self.random.choices(list(weights), list(weights.values()))[0]

    def audience(self) -> Any:
        if self.plan.many and SYSTEM:
            return everyone()
        if self.plan.many:
            return self.random.sample(self.users, self.plan.many)
        kind = self.choose(self.plan.audiences)
        if kind == "all":
            return everyone()
        return self.random.choice(self.users if kind == "user" else self.groups)

    def notify(self, key: str, audience: Any) -> None:
        data = {"k": key, "t": time.monotonic()}
        if self.other is not None:
            self.other(name_of(audience), json.dumps({**data, "body": "x" * self.plan.size}))
            return
        from livebell import notify

        notify(audience, key, body="x" * self.plan.size, data=data, key=key if self.plan.keys else None)

    def pause(self) -> None:
        if self.plan.think:
            time.sleep(self.random.random() * self.plan.think)


def everyone() -> Any:
    """The audience of all; another system's project knows nothing of ours."""
    if SYSTEM:
        return "all"
    from livebell import EVERYONE

    return EVERYONE


def name_of(audience: Any) -> str:
    """``all``, or the number of a user; the rest the ledger needn't know."""
    if hasattr(audience, "is_active"):
        return str(audience.pk)
    return "" if isinstance(audience, list) or hasattr(audience, "permissions") else "all"


def plain(publisher: Publisher, key: str, audience: Any) -> bool:
    """Outside of any transaction."""
    publisher.notify(key, audience)
    return True


def atomic(publisher: Publisher, key: str, audience: Any) -> bool:
    """In a transaction that thinks before it commits."""
    from django.db import transaction

    with transaction.atomic():
        publisher.notify(key, audience)
        publisher.pause()
    return True


def hold(publisher: Publisher, key: str, audience: Any) -> bool:
    """In a transaction that stays open as long as ``think`` says."""
    from django.db import transaction

    with transaction.atomic():
        publisher.notify(key, audience)
        time.sleep(publisher.plan.think)
    return True


def rollback(publisher: Publisher, key: str, audience: Any) -> bool:
    """In a transaction that is rolled back."""
    from django.db import transaction

    with transaction.atomic():
        publisher.notify(key, audience)
        publisher.pause()
        transaction.set_rollback(True)
    return False


def savepoint(publisher: Publisher, key: str, audience: Any) -> bool:
    """In a savepoint that is rolled back; the transaction around it commits."""
    from django.db import transaction

    with transaction.atomic():
        try:
            with transaction.atomic():
                publisher.notify(key, audience)
                raise Failed
        except Failed:
            pass
    return False


def exception(publisher: Publisher, key: str, audience: Any) -> bool:
    """In a transaction whose view fails after the publish."""
    from django.db import transaction

    try:
        with transaction.atomic():
            publisher.notify(key, audience)
            raise Failed
    except Failed:
        return False


def crash(publisher: Publisher, key: str, audience: Any) -> bool:
    """In a process of its own that dies after the commit, at one of four points."""
    point = publisher.random.choice(POINTS[SYSTEM.split(".")[1] if SYSTEM else ""])
    heal()
    child = os.fork()
    if not child:
        try:
            point(publisher, key, audience)
        finally:
            os._exit(1)  # it should have died before
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) != 9:
        raise Failed(point.__name__)
    return True


def die() -> None:
    os._exit(9)


def dies_committed(publisher: Publisher, key: str, audience: Any) -> None:
    """Committed, not numbered."""
    from django.db import transaction

    with transaction.atomic():
        transaction.on_commit(die)
        publisher.notify(key, audience)


def dies_numbering(publisher: Publisher, key: str, audience: Any) -> None:
    """In the middle of numbering, before that transaction commits."""
    from django.db import transaction

    from livebell import store

    number = store.number

    def interrupted(rows: Any) -> None:
        with transaction.atomic():
            number(rows)
            die()

    store.number = interrupted  # type: ignore[assignment]
    with transaction.atomic():
        publisher.notify(key, audience)


def dies_silent(publisher: Publisher, key: str, audience: Any) -> None:
    """Numbered, nobody told."""
    from livebell import api

    api._say = lambda moved: die()
    publisher.notify(key, audience)


def dies_done(publisher: Publisher, key: str, audience: Any) -> None:
    """Right after the call."""
    publisher.notify(key, audience)
    die()


def dies_unsent(publisher: Publisher, key: str, audience: Any) -> None:
    """Another system's publish after the commit of what it is about, as is the custom; the process dies before it."""
    from django.db import transaction

    with transaction.atomic():
        transaction.on_commit(die)
        transaction.on_commit(lambda: publisher.notify(key, audience))


def dies_stored(publisher: Publisher, key: str, audience: Any) -> None:
    """In django-eventstream's log, nobody told."""
    from django_eventstream import eventstream

    eventstream.redis_client = type("Dead", (), {"publish": staticmethod(lambda *given: die())})()
    publisher.notify(key, audience)


POINTS = {
    "": (dies_committed, dies_numbering, dies_silent, dies_done),
    "seed": (dies_unsent, dies_done),
    "eventstream": (dies_unsent, dies_stored, dies_done, dies_done),
}
"""Where a publisher dies, by system."""
WAYS: dict[str, Callable[[Publisher, str, Any], bool]] = {
    way.__name__: way for way in (plain, atomic, hold, rollback, savepoint, exception, crash)
}


def reads_all(publisher: Publisher) -> None:
    """Somebody marks everything as read."""
    from livebell import mark_read

    mark_read(publisher.random.choice(publisher.users))


def reads_some(publisher: Publisher) -> None:
    """Somebody marks a few of the newest entries as read."""
    from livebell import api, store

    user = publisher.random.choice(publisher.users)
    at = api.standing(user).snapshot.at
    read = {name: [max(head - publisher.random.randrange(5), 1)] for name, head in at.items()}
    api.mark(user, store.Marking(read=read))


def retracts(publisher: Publisher) -> None:
    """Somebody takes back something that was published."""
    from livebell import retract
    from livebell.models import Notification

    newest = Notification.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    found = Notification.objects.filter(pk__gte=publisher.random.randint(0, newest), retracted__isnull=True).first()
    if found is not None:
        retract(found)


READERS = {reader.__name__: reader for reader in (reads_all, reads_some, retracts)}
"""What isn't a publish: it stands in no ledger."""


def heal() -> None:
    """Close the connection to the database, so that the next publish opens another."""
    from django.db import connections

    connections.close_all()


def main() -> None:
    django.setup()
    from . import without

    without.apply()
    publisher = Publisher(Plan(**json.loads(sys.argv[1])))
    print("ready", flush=True)
    sys.stdin.readline()
    publisher.run()
    heal()


if __name__ == "__main__":
    main()

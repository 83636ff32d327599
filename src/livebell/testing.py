"""For the tests of projects that send notifications. No Redis, no server.

Django's ``TestCase`` never commits, so nothing is numbered by itself there:

    with sent() as notifications:
        view(request)
    assert [n.title for n in notifications] == ["Build passed"]
    deliver()
    assert unread(alice) == 1
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from . import api, store
from .models import Content, Notification, Outbox


def deliver() -> None:
    """Number all that waits in the outbox, as happens after a commit."""
    newest = store.newest_pending()
    while rows := store.pending(newest):
        api.number(rows)
        if store.pending(newest) == rows:  # what is left can't be numbered: retractions of what is not there
            return


@contextmanager
def sent() -> Iterator[list[Content]]:
    """The notifications that are sent inside the block, filled in when it ends, in the order they were sent."""
    found: list[Content] = []
    before = {row.pk for row in _all()}
    yield found
    found += sorted((row for row in _all() if row.pk not in before), key=lambda row: row.pk)


def _all() -> list[Notification | Outbox]:
    waiting = Outbox.objects.filter(retracts__isnull=True, part_of__isnull=True)
    return [*Notification.objects.all(), *waiting]

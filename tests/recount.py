"""The unread number the slow way: every entry looked at, in Python, straight from the tables."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from livebell import api
from livebell.models import Entry, Mark, Receipt, Stream


def recount(user: Any) -> int:
    """What the bell of this user has to show."""
    return sum(_of_stream(user, stream) for stream in Stream.objects.filter(name__in=api.standing(user).snapshot.at))


def _of_stream(user: Any, stream: Stream) -> int:
    mark = Mark.objects.filter(user=user, stream=stream).first()
    through = max(mark.read_through if mark else 0, stream.floor)
    entries = Entry.objects.filter(stream=stream).select_related("notification")
    back = {entry.retracts for entry in entries if entry.retracts}
    read = set(Receipt.objects.filter(user=user, stream=stream).values_list("seq", flat=True))
    now = timezone.now()
    return sum(
        entry.seq > through
        and entry.retracts is None
        and entry.seq not in back | read
        and not (entry.notification.expires and entry.notification.expires <= now)
        for entry in entries
    )

"""The unread number, the first page, all read, for a user with so many entries, a tenth unread. Argument: entries."""

from __future__ import annotations

import statistics
from typing import Any

from .timing import TEXT, median_ms, run, timed

TIMES = 50


def main(number: int) -> dict[str, float]:
    """Milliseconds. The page is the whole view, with JSON; marking includes the hint on the bus."""
    from django.test import RequestFactory

    from livebell import mark_read, unread
    from livebell.views import items
    from peers.accounts import users

    user = users(1)[0]
    fill(user, number)
    unread_now = number // 10
    if unread(user) != unread_now:
        raise ValueError(f"{unread(user)} unread instead of {unread_now}")
    request = RequestFactory().get("/livebell/api/items/?limit=20")
    request.user = user
    found = {"unread": median_ms(TIMES, lambda: unread(user)), "page": median_ms(TIMES, lambda: items(request))}
    return {**found, "mark all": marked(user, mark_read, unread_now)}


def marked(user: Any, mark_read: Any, unread_now: int) -> float:
    """All read, and back again, so that each time there is as much to mark."""
    from livebell.models import Mark

    took = []
    for _ in range(10):
        took.append(timed(lambda: mark_read(user)))
        Mark.objects.filter(user=user).update(read_through=0)
        Mark.objects.filter(user=user, stream__name=f"user:{user.pk}").update(read_through=unread_now * 9)
    return 1e3 * statistics.median(took)


def fill(user: Any, number: int) -> None:
    """As *number* publishes would have, and nine tenths read."""
    from django.db import connection

    from livebell import notify
    from livebell.models import Mark

    from .raw import ENTRY, NOTE, STREAM

    notify(user, TEXT)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id, head FROM {STREAM} WHERE name = %s", [f"user:{user.pk}"])
        stream, head = cursor.fetchone()
        cursor.execute(f"SELECT max(id) FROM {NOTE}")
        (last,) = cursor.fetchone()
        cursor.execute(
            f"""INSERT INTO {NOTE} (id, kind, title, body, url, level, actor, created)
            SELECT %s + n, '', %s, '', '', 'info', '', now() FROM generate_series(1, %s) n""",
            [last, TEXT, number - head],
        )
        cursor.execute(
            f"""INSERT INTO {ENTRY} (stream_id, seq, notification_id)
            SELECT %s, %s + n, %s + n FROM generate_series(1, %s) n""",
            [stream, head, last, number - head],
        )
        cursor.execute(f"UPDATE {STREAM} SET head = %s WHERE id = %s", [number, stream])
        cursor.execute("SELECT setval(pg_get_serial_sequence('livebell_outbox', 'id'), %s)", [last + number])
        cursor.execute(f"VACUUM ANALYZE {NOTE}, {ENTRY}, {STREAM}")
    Mark.objects.update_or_create(user=user, stream_id=stream, defaults={"read_through": number - number // 10})


if __name__ == "__main__":
    run(main)

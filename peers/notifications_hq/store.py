"""``python -m peers.notifications_hq.store publish 300``, ``… audience 10000``, ``… reading 1000000``: time it, print JSON.

Runs with the Python of its own environment, so it imports nothing of ours.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import django

TEXT = "x" * 200


def main(what: str, number: int) -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    print(json.dumps({"publish": publish, "audience": audience, "reading": reading}[what](number)))


def users(number: int) -> list[Any]:
    from django.contrib.auth.models import User

    there = set(User.objects.filter(pk__lte=number).values_list("pk", flat=True))
    missing = (User(pk=pk, username=f"user{pk}") for pk in range(1, number + 1) if pk not in there)
    User.objects.bulk_create(missing, batch_size=5000)
    return list(User.objects.filter(pk__lte=number))


def publish(number: int) -> dict[str, float]:
    """To one user, each in its own transaction."""
    from notifications.signals import notify

    (user,) = users(1)
    took = timed(lambda: [notify.send(user, recipient=user, verb=TEXT) for _ in range(number)])
    return {"publishes/s": number / took}


def audience(number: int) -> dict[str, float]:
    """To many: it saves one row after the other."""
    from notifications.signals import notify

    everybody = users(number)
    took = timed(lambda: notify.send(everybody[0], recipient=everybody, verb=TEXT))
    return {"recipients/s": number / took}


def reading(number: int) -> dict[str, float]:
    """*number* rows of one user, a tenth of them unread: the number, the first page, all read."""
    from django.contrib.contenttypes.models import ContentType
    from django.db import connection

    (user,) = users(1)
    kind = ContentType.objects.get_for_model(user).pk
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE notifications_notification")
        cursor.execute(
            """INSERT INTO notifications_notification
            (level, recipient_id, unread, actor_content_type_id, actor_object_id, verb, timestamp, public, deleted, emailed)
            SELECT 'info', %s, n %% 10 = 0, %s, '1', %s, now() - (n || ' seconds')::interval, true, false, false
            FROM generate_series(1, %s) n""",
            [user.pk, kind, TEXT, number],
        )
        cursor.execute("VACUUM ANALYZE notifications_notification")
    unread = median(20, lambda: user.notifications.unread().count())
    page = median(20, lambda: list(user.notifications.unread()[:20]))
    everything = 1e3 * timed(user.notifications.mark_all_as_read)
    return {"unread": unread, "page": page, "mark all": everything}


def timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def median(times: int, work: Callable[[], Any]) -> float:
    """Milliseconds."""
    return 1e3 * statistics.median(timed(work) for _ in range(times))


if __name__ == "__main__":
    django.setup()
    main(sys.argv[1], int(sys.argv[2]))

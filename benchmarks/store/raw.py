"""The same rows with one SQL statement by hand: what publishing would cost if there were nothing but the database."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.utils import timezone

from livebell.models import Entry, Notification, Outbox, Stream

NOTE, STREAM, ENTRY = (model._meta.db_table for model in (Notification, Stream, Entry))


def statement(names: str) -> str:
    """One notification, and an entry in each of the streams whose names this query gives."""
    return f"""
        WITH note AS (
            INSERT INTO {NOTE} (id, kind, title, body, url, level, actor, created)
            VALUES (nextval(pg_get_serial_sequence('{Outbox._meta.db_table}', 'id')), '', %s, '', '', 'info', '', %s)
            RETURNING id
        ), moved AS (
            INSERT INTO {STREAM} AS s (name, head, floor) SELECT name, 1, 0 FROM ({names}) names ORDER BY name
            ON CONFLICT (name) DO UPDATE SET head = s.head + 1 RETURNING s.id, s.head
        )
        INSERT INTO {ENTRY} (stream_id, seq, notification_id) SELECT moved.id, moved.head, note.id FROM moved, note"""


TO_ONE = statement("SELECT %s AS name")
TO_USERS = statement("SELECT 'user:' || id AS name FROM auth_user WHERE id <= %s")


def publish(sql: str, text: str, whom: Any) -> None:
    """Run it."""
    with connection.cursor() as cursor:
        cursor.execute(sql, [text, timezone.now(), whom])

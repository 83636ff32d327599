"""``notify(EVERYONE)`` with so many users. Argument: users."""

from __future__ import annotations

from .timing import TEXT, median_ms, run


def main(number: int) -> dict[str, float]:
    """Milliseconds, and rows that one more makes."""
    from django.db import connection

    from livebell import EVERYONE, notify
    from livebell.models import Entry

    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO auth_user (id, username, password, is_superuser, is_staff, is_active, first_name, last_name,
            email, date_joined)
            SELECT n, 'user' || n, '!', false, false, true, '', '', '', now() FROM generate_series(1, %s) n
            ON CONFLICT DO NOTHING""",
            [number],
        )
        cursor.execute("VACUUM ANALYZE auth_user")
    notify(EVERYONE, TEXT)
    before = Entry.objects.count()
    took = median_ms(200, lambda: notify(EVERYONE, TEXT))
    return {"ms": took, "rows": (Entry.objects.count() - before) / 200}


if __name__ == "__main__":
    run(main)

"""Prepared statements: used where that is safe, given up where the server does not know them, seen by who counts queries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from livebell import notify, store, unread
from livebell.store import prepared
from tests.helpers import commits, log, person

pytestmark = [commits, pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite plans in no time")]


@pytest.fixture
def ann() -> Iterator[Any]:
    """With a connection that has prepared nothing yet."""
    user = person("ann")
    connection.close()
    connection.ensure_connection()
    prepared._refused.clear()
    yield user
    prepared._refused.clear()
    connection.close()


def names() -> list[str]:
    """What this connection's server process has prepared."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_prepared_statements")
        return [name for (name,) in cursor.fetchall()]


def forget() -> None:
    """As when a pooler hands out another server process: psycopg doesn't hear of it."""
    with connection.cursor() as cursor:
        cursor.execute("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$")


def test_outside_of_transactions_statements_are_prepared(ann: Any) -> None:
    """Once each, however often they are used."""
    for _ in range(3):
        notify(ann, "T")
        assert unread(ann) > 0
    assert len(names()) == 2


def test_inside_of_transactions_nothing_is_prepared(ann: Any) -> None:
    """A statement that failed for it could not be run again there."""
    with transaction.atomic():
        notify(ann, "T", key="once")
        unread(ann)
        assert names() == []


def test_a_server_that_does_not_know_them_loses_nothing(ann: Any) -> None:
    """As behind PgBouncer: the statement is run all the same, once, and no more are prepared."""
    notify(ann, "1")
    forget()
    notify(ann, "2")
    assert names() == []
    notify(ann, "3")
    assert (names(), log(f"user:{ann.pk}")) == ([], ["1", "2", "3"])


def test_a_name_that_is_taken_loses_nothing(ann: Any) -> None:
    """The other thing that a pooler can do."""
    with connection.cursor() as cursor:
        cursor.execute('PREPARE "_pg3_0" AS SELECT 1')
    notify(ann, "1")
    assert log(f"user:{ann.pk}") == ["1"]


def test_a_migration_in_between_is_survived(ann: Any) -> None:
    """A column that a statement returns has another type by now."""
    unread(ann)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE livebell_stream ALTER COLUMN name TYPE varchar(300)")
    try:
        notify(ann, "1")
        assert unread(ann) == 1
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE livebell_stream ALTER COLUMN name TYPE varchar(255)")


def test_who_counts_queries_sees_them(ann: Any) -> None:
    """Django's own instruments are not passed by."""
    store.epoch()
    with CaptureQueriesContext(connection) as seen:
        unread(ann)
    assert len(seen) == 1
    with connection.execute_wrapper(lambda execute, *call: execute(*call)):
        unread(ann)
    assert names() == []


def test_django_s_own_statements_stay_as_they_are(ann: Any) -> None:
    """The threshold is back where it was."""
    before = connection.connection.prepare_threshold if connection.connection else None
    notify(ann, "T")
    assert connection.connection.prepare_threshold == before

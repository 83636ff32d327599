"""What the two databases spell differently, and the helpers to run SQL. Statements live beside the verb they serve."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import DatabaseError, IntegrityError, connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field
from django.utils import timezone

from ..models import Entry, Epoch, Mark, Notification, Outbox, Reader, Receipt, Stream
from .prepared import may_prepare, run_prepared

P = ParamSpec("P")
T = TypeVar("T")

TABLES = {
    model._meta.model_name: f'"{model._meta.db_table}"'
    for model in (Entry, Epoch, Mark, Notification, Outbox, Reader, Receipt, Stream)
}


@dataclass(frozen=True)
class Dialect:
    """Pieces of SQL that differ."""

    rows: str
    """Table ``w`` with one column ``value``: the elements of a JSON array given as parameter."""
    item: Callable[[int, str], str]
    """Column *n* of a row of ``w`` that is itself an array, as a type."""
    each: str
    """Joins the names in ``o.streams`` as ``t``."""
    name: str
    """One of those names."""
    element: str
    """A row of ``w`` that is itself a string."""
    greatest: str
    least: str
    collect: Callable[[str], str]
    """Aggregates a column into the text of a JSON array."""
    text: Callable[[str], str]
    """A JSON column as its text."""
    key: Callable[[str], str]
    """Text that holds a user's key, as the type of a column that refers to users."""
    page: Callable[[str, int], str]
    """The first entries ``e`` of stream ``s`` above ``want.after``, joined. There are no holes, so both spellings bring the
    same rows; PostgreSQL walks the whole stream for the plain one, SQLite doesn't know the other."""
    entries: Callable[[str], str]
    """The entries ``e`` of notification ``n``, joined. On PostgreSQL one notification after the other, whatever the planner
    thinks of their number: a plan that is made once must not read the whole log."""
    change_mark: str
    """See ``log.change_mark``."""


POSTGRESQL = Dialect(
    # An array literal, because the planner knows its length; it takes every JSON array for 100 rows, and then hashes
    # whole tables and compiles (JIT) for half a second what runs for one millisecond.
    rows="(SELECT line::jsonb AS value FROM unnest(%s::text[]) AS line) AS w",
    item=lambda n, cast: f"(w.value ->> {n})::{cast}",
    each="CROSS JOIN LATERAL jsonb_array_elements_text(o.streams) AS t(name)",
    name="t.name",
    element="(w.value #>> '{}')",
    greatest="GREATEST",
    least="LEAST",
    collect=lambda column: f"jsonb_agg({column})::text",
    text=lambda column: f"{column}::text",
    key=lambda text: f"({text})::{key_type()}",
    page=lambda entry, size: (
        f"""LATERAL (SELECT * FROM {entry} WHERE stream_id = s.id AND seq > want.after
        ORDER BY seq LIMIT {size}) e ON true"""
    ),
    entries=lambda entry: f"CROSS JOIN LATERAL (SELECT * FROM {entry} WHERE notification_id = n.id OFFSET 0) e",
    change_mark="SELECT pg_current_snapshot()::text",
)
SQLITE = Dialect(
    rows="json_each(%s) AS w",
    item=lambda n, cast: f"(w.value ->> {n})",
    each="JOIN json_each(o.streams) AS t",
    name="t.value",
    element="w.value",
    greatest="MAX",
    least="MIN",
    collect=lambda column: f"json_group_array({column})",
    text=lambda column: column,
    key=lambda text: f"CAST({text} AS {key_type()})",
    page=lambda entry, size: (
        f"""{entry} e ON e.stream_id = s.id AND e.seq > want.after
        AND e.seq <= want.after + {size}"""
    ),
    entries=lambda entry: f"JOIN {entry} e ON e.notification_id = n.id",
    change_mark="PRAGMA data_version",
)


def database() -> BaseDatabaseWrapper:
    """The connection, of this thread, to the database that holds Livebell's tables."""
    return connections[router.db_for_write(Notification)]


def open_for_batches() -> None:
    """Connect, for a thread of the live side: its queries answer for hundreds at once and take a few milliseconds, which
    PostgreSQL would spend many times over on compiling them, and again on planning them. Only prepared statements are
    planned once, and only ours are prepared."""
    database().ensure_connection()
    if database().vendor == "postgresql":
        execute("SET jit = off")
        execute("SET plan_cache_mode = force_generic_plan")


def dialect() -> Dialect:
    """The spelling of that database."""
    return POSTGRESQL if database().vendor == "postgresql" else SQLITE


@cache
def statement(template: Callable[[Dialect], str], spelling: Dialect) -> str:
    """The text of a statement, composed once for each database."""
    return template(spelling)


def run(template: Callable[[Dialect], str], params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a statement and return its rows, none if it has no result. On PostgreSQL it is prepared where that is safe."""
    sql = statement(template, dialect())
    if may_prepare(database()):
        return run_prepared(database(), sql, params)
    return execute(sql, params)


def execute(sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run SQL as it stands."""
    with database().cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else []


def pack(rows: Iterable[Any]) -> Any:
    """A parameter for ``Dialect.rows``."""
    if database().vendor == "postgresql":
        return [json.dumps(row, default=str) for row in rows]
    return json.dumps(list(rows), default=str)


def user_table() -> str:
    """The user table."""
    return f'"{get_user_model()._meta.db_table}"'


def user_pk() -> str:
    """The column of its primary key."""
    return f'"{key_field().column}"'


def key_field() -> Field[Any, Any]:
    """The primary key of the user model."""
    field = get_user_model()._meta.pk
    assert field is not None  # every concrete model has one
    return field


def key_type() -> str:
    """Column type of a reference to a user."""
    return key_field().rel_db_type(database()) or "text"


def key_param(key: str) -> Any:
    """A reader's key (the text of a user's primary key) as this database keeps it."""
    field = key_field()
    return field.get_db_prep_value(field.to_python(key), database())


def moment(value: datetime | str) -> datetime:
    """A point in time from a raw row: SQLite gives text, and with ``USE_TZ = False`` it has no zone."""
    when = datetime.fromisoformat(value) if isinstance(value, str) else value
    if timezone.is_aware(when):
        return when
    return timezone.make_aware(when, UTC if settings.USE_TZ else None)


TRIES = 8
"""A statement that lost a race (same key, deadlock, serialisation) is run again this many times at the most."""


def again(function: Callable[P, T]) -> Callable[P, T]:
    """Run the transaction again when it lost a race that a second run can win."""

    @wraps(function)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(TRIES - 1):
            try:
                return function(*args, **kwargs)
            except DatabaseError as error:
                if not _lost_a_race(error):
                    raise
        return function(*args, **kwargs)

    return attempt


def _lost_a_race(error: DatabaseError) -> bool:
    """Unique violation, deadlock (40P01) or serialisation failure (40001), and nothing is left half done."""
    state = getattr(error.__cause__, "sqlstate", None)
    return (isinstance(error, IntegrityError) or state in ("40P01", "40001")) and not database().in_atomic_block

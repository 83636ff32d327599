"""Prepared statements on PostgreSQL: planning ours anew each time costs two to five times what running them does.

Django prepares nothing, because poolers such as PgBouncer may hand each transaction another server connection, which does
not know what was prepared on the last. So this is done only outside of transactions, where a statement that failed can
simply be run again, and never more on a connection's alias where it has failed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

try:
    from psycopg import Connection, Cursor
    from psycopg.errors import DuplicatePreparedStatement, FeatureNotSupported, InvalidSqlStatementName
except ImportError:  # SQLite alone, or psycopg2
    PSYCOPG = False
else:
    PSYCOPG = True

_refused: set[str] = set()
"""Aliases of databases that did not know what had been prepared."""


def may_prepare(connection: BaseDatabaseWrapper) -> bool:
    """Whether the next statement may be prepared: not in a transaction, and nobody listens to what Django's cursor does."""
    return (
        PSYCOPG
        and connection.vendor == "postgresql"
        and not connection.in_atomic_block
        and connection.get_autocommit()
        and not connection.queries_logged
        and not connection.execute_wrappers
        and connection.alias not in _refused
    )


def run_prepared(connection: BaseDatabaseWrapper, sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run a statement, prepared on this connection at its first use. Raises Django's database errors."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        try:
            return _run(connection.connection, sql, params, prepare=True)
        except (InvalidSqlStatementName, DuplicatePreparedStatement):
            _refused.add(connection.alias)
        except FeatureNotSupported:  # a migration has changed a table since
            connection.close()
            connection.ensure_connection()
        return _run(connection.connection, sql, params, prepare=False)


def _run(connection: Connection[Any], sql: str, params: Sequence[Any], *, prepare: bool) -> list[tuple[Any, ...]]:
    before, connection.prepare_threshold = connection.prepare_threshold, 0
    try:
        with Cursor(connection) as cursor:
            cursor.execute(sql.encode(), params, prepare=prepare)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.prepare_threshold = before

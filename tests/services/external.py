"""A server that REDIS_URL or DATABASE_URL names. Somebody else's: it can be used, but not stopped."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from .programs import Unavailable


@dataclass
class External:
    name: str
    url: str
    pid: None = None

    @property
    def port(self) -> int | None:
        return urlsplit(self.url).port

    def __enter__(self) -> External:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Leave it running."""

    def start(self) -> None:
        raise Unavailable(f"{self.name} names somebody else's server: it can't be started or stopped")

    def stop(self, *, kill: bool = False) -> None:
        self.start()

    def create_database(self, name: str) -> str:
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

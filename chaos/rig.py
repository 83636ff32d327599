"""What a fault needs: a database of its own, a Redis, servers, publishers, people with sessions."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

import django

from tests.services import PostgreSQL, Redis

from .publisher import Plan

P = ParamSpec("P")
T = TypeVar("T")

NAME = "chaos"
TEMPLATE = "chaos_template"


@dataclass(frozen=True)
class People:
    """Users with a session each, and groups of ten of them."""

    users: list[int]
    cookies: list[str]
    groups: list[int]

    @property
    def who(self) -> list[tuple[str, str]]:
        """(reader, cookie) of each."""
        return [(str(user), cookie) for user, cookie in zip(self.users, self.cookies, strict=True)]


class Rig:
    """The services of one fault; the same for all its runs, each of which begins with ``fresh``."""

    def __init__(self, database: str, *, redis: bool = True) -> None:
        self.database = database
        self.directory = Path(tempfile.mkdtemp(prefix="livebell-chaos-"))
        self.stack = ExitStack()
        self.stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.redis: Redis | None = self.stack.enter_context(Redis()) if redis else None
        self.postgresql: PostgreSQL | None = None
        if database == "postgresql":
            self.postgresql = self.stack.enter_context(PostgreSQL())
        self._publishers = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stack.close()

    def prepare(self) -> None:
        """Set Django up on this database, and make the template that every run copies."""
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        os.environ["LIVEBELL_TEST_DB"] = self.database
        os.environ["LIVEBELL_TEST_NAME"] = NAME if self.postgresql else str(self.file)
        if self.postgresql:
            os.environ["DATABASE_URL"] = self.postgresql.create_database(NAME)
        django.setup()
        from django.core.management import call_command
        from django.db import connections

        call_command("migrate", verbosity=0)
        connections.close_all()
        if self.postgresql:
            self.sql(f"ALTER DATABASE {NAME} RENAME TO {TEMPLATE}")
        else:
            shutil.move(self.file, self.directory / TEMPLATE)

    @property
    def file(self) -> Path:
        """Of the SQLite database."""
        return self.directory / NAME

    def sql(self, *statements: str) -> list[tuple]:
        """Run statements as the owner of the server, outside of the run's database; returns the last one's rows."""
        import psycopg

        assert self.postgresql
        rows: list[tuple] = []
        with psycopg.connect(self.postgresql.url, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)  # type: ignore[arg-type]
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def fresh(self, users: int, groups: int = 0) -> People:
        """An empty database with these people, and an empty Redis."""
        self.drop()
        if self.postgresql:
            self.sql(f"CREATE DATABASE {NAME} TEMPLATE {TEMPLATE}")
        else:
            shutil.copy(self.directory / TEMPLATE, self.file)
        if self.redis:
            self.redis.start()
            import redis

            with redis.Redis.from_url(self.redis.url) as client:
                client.flushall()
        return populate(users, groups)

    def drop(self) -> None:
        from django.db import connections

        connections.close_all()
        if self.postgresql:
            self.postgresql.start()
            self.sql(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.file}{suffix}").unlink(missing_ok=True)

    def ledger(self) -> Path:
        """Path of one more ledger."""
        self._publishers += 1
        return self.directory / f"ledger-{self._publishers}"


def populate(users: int, groups: int) -> People:
    """People by the hundred, without a signal or a password hash for each."""
    from datetime import timedelta

    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
    from django.contrib.auth.models import Group
    from django.contrib.sessions.backends.db import SessionStore
    from django.contrib.sessions.models import Session
    from django.utils import timezone

    model = get_user_model()
    made = model.objects.bulk_create([model(username=f"user{n}", password="!") for n in range(users)])
    teams = Group.objects.bulk_create([Group(name=f"team{n}") for n in range(groups)])
    through = model.groups.through
    through.objects.bulk_create(
        [
            through(user_id=made[(n * 10 + i) % users].pk, group_id=team.pk)
            for n, team in enumerate(teams)
            for i in range(10)
        ]
    )
    until = timezone.now() + timedelta(days=400)
    backend = "django.contrib.auth.backends.ModelBackend"
    sessions = []
    for user in made:
        held = {SESSION_KEY: str(user.pk), BACKEND_SESSION_KEY: backend, HASH_SESSION_KEY: user.get_session_auth_hash()}
        text = SessionStore().encode(held)
        sessions.append(Session(session_key=f"session{user.pk:024}", session_data=text, expire_date=until))
    Session.objects.bulk_create(sessions, batch_size=500)
    return People([user.pk for user in made], [s.session_key for s in sessions], [team.pk for team in teams])


class Vitals:
    """What a server process uses."""

    def __init__(self, pid: int) -> None:
        self.path = Path(f"/proc/{pid}")

    @property
    def rss(self) -> int:
        """Bytes."""
        line = next(line for line in (self.path / "status").read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024

    @property
    def descriptors(self) -> int:
        return len(list((self.path / "fd").iterdir()))


class Publishing:
    """Publisher processes that run a plan."""

    def __init__(self, plans: Sequence[Plan], env: dict[str, str]) -> None:
        self.plans = plans
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-m", "chaos.publisher", json.dumps(plan.__dict__)],
                env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for plan in plans
        ]  # fmt: skip

    async def ready(self) -> Self:
        """Wait until each has started."""
        for process in self.processes:
            assert process.stdout
            said = await asyncio.to_thread(process.stdout.readline)
            assert said == "ready\n", said
        return self

    def go(self) -> None:
        for process in self.processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()

    async def done(self, seconds: float = 300) -> None:
        """Wait until each has done all of its plan."""
        for process in self.processes:
            await asyncio.to_thread(process.wait, seconds)

    @property
    def running(self) -> bool:
        return any(process.poll() is None for process in self.processes)

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()


def shares(plan: Plan, publishers: int, ledger: Callable[[], Path]) -> list[Plan]:
    """One plan as those of several publishers, each of which does its share; with ``keys`` each does all of it."""
    return [
        replace(
            plan,
            name=f"{plan.name}{number}",
            ledger=str(ledger()),
            count=plan.count if plan.keys else plan.count // publishers,
            rate=plan.rate / publishers,
        )
        for number in range(publishers)
    ]


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what uses the database, in a thread that closes its connections."""

    def call() -> T:
        from django.db import connections

        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    return await asyncio.to_thread(call)

"""Processes of other kinds: WSGI beside ASGI, Channels routing, other servers, many writers at once, threads and forks."""

from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.contrib.auth import get_user_model
from django.db import connection, connections, transaction

from livebell import notify, unread
from livebell.models import Entry, Outbox, Stream
from livebell.testing import deliver
from tests.site import ROOT, Page, Pages, Site, environment, log_in, python

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice() -> Any:
    return get_user_model().objects.create_user("alice")


class Channels(Site):
    """Uvicorn with Channels routing, without lifespan."""

    application = "tests.channels_asgi:application"


class Daphne(Site):
    """Another ASGI server."""

    def command(self) -> list[str]:
        return [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port), self.application]

    def answers(self) -> bool:
        return "Listening on TCP address" in self.log.read_text(errors="replace")


class Framed(Site):
    """Uvicorn with the protocol that takes finished frames."""

    program = ("uvicorn", "--ws", "livebell.transports.uvicorn:Protocol", "--ws-per-message-deflate", "false")


@pytest.fixture(params=[Channels, Daphne, Framed])
def site(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Site]:
    with request.param() as running:
        yield running


def test_other_routing_and_servers(site: Site, alice: Any) -> None:
    """The socket works behind ``AuthMiddlewareStack`` in a ``URLRouter``, and on daphne."""
    with Page(site, log_in(alice)) as page:
        notify(alice, "now")
        assert page.badge(1) < 1
        page.close()
        notify(alice, "while away")
        page.open()
        page.until(lambda: page.titles == ["now", "while away"])
    assert "Traceback" not in site.log.read_text()


def test_finished_frames_of_every_size(alice: Any) -> None:
    """Seven bits, sixteen, and more: what arrives is what was sent, on the path that frames once for all."""
    with Framed() as site, Page(site, log_in(alice)) as one, Page(site, log_in(alice)) as two:
        for body in ("", "x" * 100, "ü" * 9_000, "x" * 10_000):
            for _ in range(10):
                notify(alice, "t", body=body)
        for page in (one, two):
            page.until(lambda page=page: len(page.client.items) == 40)
            assert {len(item.get("body", "")) for item in page.client.items.values()} == {0, 100, 9_000, 10_000}


@pytest.mark.slow
def test_who_does_not_read_is_dropped_and_comes_back(alice: Any) -> None:
    """A client that stops reading is dropped within 15 s; its neighbour notices nothing; it then resumes without loss."""
    with Framed() as site, Page(site, log_in(alice)) as quick, Page(site, log_in(alice)) as slow:
        assert slow.socket is not None
        raw = slow.socket.socket
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # else the kernel reads megabytes in its place
        for _ in range(900):  # nobody asks ``slow`` for frames, so its library stops reading after a few
            notify(alice, "t", body="x" * 10_000)
        quick.until(lambda: len(quick.client.items) == 900, 30)
        deadline = time.monotonic() + 15
        while connection_state(site.port, raw.getsockname()[1]) == "ESTABLISHED":
            assert time.monotonic() < deadline, "still connected"
            time.sleep(0.2)  # the kernel's table is the only witness
        slow.until(lambda: len(slow.client.items) == 900, 30)
        assert slow.client.resets == 1, "the first connect, and no other"


def connection_state(server: int, client: int) -> str:
    """How the kernel sees the server's end of this connection."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, state = line.split()[1:4]
        if int(local.split(":")[1], 16) == server and int(remote.split(":")[1], 16) == client:
            return "ESTABLISHED" if state == "01" else state
    return "gone"


@pytest.mark.parametrize("bus", ["redis", "core", "pubsub"])
def test_wsgi_publishes_and_asgi_shows(bus: str, alice: Any, redis_server: Any) -> None:
    """As the seed has it: gunicorn for the pages, uvicorn for the socket, Redis between them; under 150 ms."""
    chosen: dict[str, Any] = {"bus": "redis", "redis": redis_server.url, "PREFIX": f"wsgi{time.time_ns()}"}
    if bus != "redis":
        chosen = {"bus": "channel-layer", "layer": bus, "redis": redis_server.url}
    with Pages(**chosen) as pages, Site(**chosen) as site, Page(site, log_in(alice)) as page:
        with httpx.Client(base_url=pages.url, timeout=10) as http:
            http.get("/send/alice/first/").raise_for_status()
            page.badge(1)
            took = []
            for number in (2, 3, 4):
                http.get(f"/send/alice/{number}/").raise_for_status()
                took.append(page.badge(number))
            assert min(took) < 0.15, took
            http.cookies.set("sessionid", page.cookie)
            assert 'part="badge" aria-hidden="true">4<' in http.get("/").text, (
                "the number is in the HTML under WSGI too"
            )


def test_a_celery_task_publishes(alice: Any, settings: Any) -> None:
    """The same call in a task, run by Celery's own machinery."""
    celery = pytest.importorskip("celery")
    app = celery.Celery("tests", broker="memory://", backend="cache+memory://")
    app.conf.task_always_eager = True

    @app.task
    def build(pk: int) -> int | None:
        return notify(get_user_model().objects.get(pk=pk), "Build passed").id

    assert build.delay(alice.pk).get() is not None
    assert unread(alice) == 1


# Many writers.

WRITER = """
import random, sys, time
from django.contrib.auth import get_user_model
from django.db import transaction
from livebell import notify
users = list(get_user_model().objects.order_by("pk"))
for n in range(int(sys.argv[1])):
    with transaction.atomic():
        notify(random.choice(users), f"{n}")
        time.sleep(random.random() * float(sys.argv[2]))
"""


def writers(number: int, each: int, pause: float) -> list[subprocess.Popen[str]]:
    code = f"import sys; sys.argv = ['x', '{each}', '{pause}']\nimport django; django.setup()\n{WRITER}"
    return [
        subprocess.Popen([sys.executable, "-c", code], env=environment(), cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for _ in range(number)
    ]


def finish(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        _, errors = process.communicate(timeout=110)
        assert process.returncode == 0, errors[-2000:]


@pytest.mark.slow
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one writer at a time")
def test_sixteen_interleaved_writers_lose_nothing() -> None:
    """6,400 transactions of 16 writers, each thinking for up to 4 ms before its commit: a reader that follows the log
    by position gets every one, in order; one that follows the outbox by ``id > last`` does not."""
    users = [get_user_model().objects.create_user(f"u{n}") for n in range(8)]
    names = [f"user:{user.pk}" for user in users]
    positions, followed = dict.fromkeys(names, 0), 0
    last, seen_by_id = 0, 0
    processes = writers(16, 400, 0.004)
    while followed < 6400:
        seen_by_id, last = follow_by_id(seen_by_id, last)
        followed += follow_by_position(positions)
        if all(process.poll() is not None for process in processes) and Outbox.objects.exists():
            deliver()
    finish(processes)
    seen_by_id, last = follow_by_id(seen_by_id, last)
    assert followed == 6400
    assert sum(Stream.objects.values_list("head", flat=True)) == Entry.objects.count() == 6400
    assert seen_by_id < 6400, "the control is expected to lose some"


def follow_by_position(positions: dict[str, int]) -> int:
    from livebell import store

    found = 0
    for (name, after), page in store.pull(list(positions.items())).items():
        seqs = [entry.seq for entry in page.entries]
        assert seqs == list(range(after + 1, after + 1 + len(seqs))), "in order, without holes"
        positions[name] = after + len(seqs)
        found += len(seqs)
    return found


def follow_by_id(seen: int, last: int) -> tuple[int, int]:
    """The classic mistake, on the classic autoincrement: the notification's id is its outbox row's."""
    from livebell.models import Notification

    ids = list(Notification.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True))
    return seen + len(ids), max(ids, default=last)


@pytest.mark.slow
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="about SQLite's one write lock")
def test_six_writers_on_sqlite_are_never_locked_out() -> None:
    """Six processes, 300 transactions each: not one "database is locked"."""
    for n in range(4):
        get_user_model().objects.create_user(f"u{n}")
    processes = writers(6, 300, 0.0)
    finish(processes)
    deliver()
    assert Entry.objects.count() == 1800
    assert sum(Stream.objects.exclude(name="all").values_list("head", flat=True)) == 1800


@pytest.mark.slow
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="about SQLite's one write lock")
def test_even_django_s_default_sqlite_is_not_locked_out(tmp_path: Path) -> None:
    """As startproject makes it, with deferred transactions and a rollback journal: our own transactions write first."""
    code = WRITER.replace("    with transaction.atomic():\n        notify", "    if True:\n        notify")
    script = tmp_path / "writer.py"
    script.write_text("import django; django.setup()\n" + code)
    for_setup = (
        "from django.core.management import call_command as c; c('migrate', verbosity=0)\n"
        "from django.contrib.auth import get_user_model as u; u().objects.create_user('a')"
    )
    env = {**environment(), "DJANGO_SETTINGS_MODULE": "tests.settings_plain", "PLAIN": str(tmp_path / "db.sqlite3")}
    done = python(for_setup, env)
    assert done.returncode == 0, done.stderr
    command = [sys.executable, str(script), "50", "0"]
    finish([subprocess.Popen(command, env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(6)])
    count = python("from livebell.models import *; print(Entry.objects.count(), Outbox.objects.count())", env)
    assert count.stdout.split() == ["300", "0"]


# Threads and forks.


def test_threads_publish_at_once(alice: Any) -> None:
    """Eight threads of one process: nothing lost, no holes."""

    def work() -> None:
        for n in range(25):
            with transaction.atomic():
                notify(alice, f"{n}")
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert unread(alice) == Stream.objects.get(name=f"user:{alice.pk}").head == 200


def test_forked_workers_publish(alice: Any, redis_server: Any, settings: Any) -> None:
    """A bus that was used before the fork works in the children, as under gunicorn's preload."""
    settings.LIVEBELL = {"BUS": "redis", "REDIS_URL": redis_server.url}
    notify(alice, "before the fork")
    connection.close()
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=publish_in_child, args=[alice.pk]) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(30)
    assert [child.exitcode for child in children] == [0] * 4
    assert unread(alice) == 41


def publish_in_child(pk: int) -> None:
    alice = get_user_model().objects.get(pk=pk)
    for n in range(10):
        notify(alice, f"{n} of {os.getpid()}")
    connections.close_all()

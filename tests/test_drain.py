"""A live process ends in good order: nobody new, then goodbye to everybody, each with a time of its own to come back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from io import StringIO
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from websockets.exceptions import ConnectionClosed, InvalidStatus

from livebell import EVERYONE, anotify, drain, notify, store, unread
from livebell.hub import Hub
from livebell.protocol import CloseCode
from tests.conftest import had
from tests.crowd import Crowd, busiest
from tests.services import Nginx
from tests.site import Page, Site, log_in, open_socket, serving
from tests.test_hub import Line, Log, joined
from tests.test_processes import Channels, Daphne, Framed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice() -> Any:
    return get_user_model().objects.create_user("alice")


def ready(site: Site) -> httpx.Response:
    return httpx.get(f"{site.url}/livebell/socket/ready/", trust_env=False, timeout=5)


def end_of(page: Page) -> tuple[int | None, dict[str, Any] | None]:
    """Code and ``bye`` with which the open socket ends."""
    assert page.socket is not None
    bye = None
    with contextlib.suppress(ConnectionClosed):
        while True:
            frame = json.loads(page.socket.recv(timeout=10))
            bye = frame if frame["type"] == "bye" else bye
    return page.socket.close_code, bye


def terminate(site: Site) -> float:
    """SIGTERM, and wait for the end; returns the seconds it took."""
    assert site.process is not None
    began = time.monotonic()
    site.process.send_signal(signal.SIGTERM)
    site.process.wait(timeout=15)
    took = time.monotonic() - began
    site.stop()
    return took


# A rolling restart.

MEMBERS = 200


@pytest.mark.slow
@pytest.mark.parametrize(("bus", "seconds"), [("database", 4.0), ("redis", 10.0)])
async def test_a_rolling_restart_loses_nothing_and_storms_nobody(
    bus: str, seconds: float, request: pytest.FixtureRequest, transactional_db: None
) -> None:
    """Two servers, restarted one after the other while 200 pages are open and 20 notifications a second are published: every
    page gets all of them once and in order, is told a time within n seconds, and comes back at it; not more than 1.3 times
    a n-th of them come back in any second."""
    cookies, users = await sync_to_async(crew)()
    chosen = on_bus(request, bus) | {"MAX_CONNECTIONS": MEMBERS, "DRAIN_SECONDS": seconds}
    with Site(**chosen) as one, Site(**chosen) as two:
        async with Crowd(cookies, [one, two], MEMBERS) as crowd, publishing() as published:
            for site in (one, two):
                await restart(site, crowd, seconds)
            published.set()
            await asyncio.sleep(0)
            count = await total()
            await crowd.until(lambda member: member.client.cursor["all"] == count)
    applied = [[seq for _, stream, seq in member.client.applied if stream == "all"] for member in crowd.members]
    assert all(seqs == list(range(1, count + 1)) for seqs in applied), "each once, in order, none lost"
    assert all(member.client.resets == 1 for member in crowd.members), "the first connect, and no other"
    badges = {member.client.badge for member in crowd.members}
    assert badges == {await sync_to_async(unread)(user) for user in users}
    assert {end.code for end in crowd.ends} == {CloseCode.DRAIN}
    print(f"{bus}: {count} published, {len(crowd.ends)} goodbyes, {sum(end.refused for end in crowd.ends)} refused")


def crew() -> tuple[list[str], list[Any]]:
    users = [get_user_model().objects.create_user(f"u{n}") for n in range(5)]
    return [log_in(user) for user in users], users


def on_bus(request: pytest.FixtureRequest, bus: str) -> dict[str, Any]:
    """Only the servers hear each other over Redis: this process publishes without a bus, as a cron job might."""
    if bus == "database":
        return {}
    return {"bus": "redis", "redis": request.getfixturevalue("redis_server").url, "PREFIX": f"test{time.time_ns()}"}


@contextlib.asynccontextmanager
async def publishing() -> AsyncIterator[asyncio.Event]:
    """Publish until the event is set."""
    over = asyncio.Event()

    async def publish() -> None:
        while not over.is_set():
            await anotify(EVERYONE, "still there")
            await asyncio.sleep(0.05)

    task = asyncio.create_task(publish())
    try:
        yield over
    finally:
        over.set()
        await task


async def total() -> int:
    page = await sync_to_async(store.pull)([("all", 0)])
    return page["all", 0].head


async def restart(site: Site, crowd: Crowd, seconds: float) -> None:
    """End it, start it anew, and wait until all it had are back; what they were told and did is as promised."""
    here = [member for member in crowd.members if member.sites[0] is site]
    told = {id(member): len(member.ends) for member in here}
    assert len(here) >= MEMBERS / 2
    watch = asyncio.create_task(first_refusal(site))
    took = await asyncio.to_thread(terminate, site)
    assert took < 1.0 + 3.0 + 2.0, "notice, sends under way, the server's own end"
    refused_at = await watch
    await asyncio.to_thread(site.start)
    await crowd.until(lambda m: id(m) not in told or (len(m.ends) > told[id(m)] and m.ends[-1].back > 0), seconds + 10)
    ends = [member.ends[-1] for member in here]
    assert refused_at <= min(end.at for end in ends), "not ready, before the first goodbye"
    assert all(end.bye is not None and 0 < end.bye["retry"] <= seconds * 1000 + 1 for end in ends)
    late = [end.back - end.at - end.bye["retry"] / 1000 for end in ends if end.bye]
    assert max(late) < 1.5
    most = busiest(end.back for end in ends)
    print(
        f"{len(ends)} pages, most back in a second {most}, process ended after {took:.2f} s, latest {max(late):.2f} s"
    )
    assert most <= 1.3 * len(ends) / seconds


async def first_refusal(site: Site) -> float:
    async with httpx.AsyncClient(trust_env=False) as client:
        while (await client.get(f"{site.url}/livebell/socket/ready/")).status_code == 200:
            await asyncio.sleep(0.02)
        return time.monotonic()


# The hub alone.


def a_hub(*lines: Line, spread: int = 1000) -> Hub:
    log = Log(stands={line.reader: [f"user:{line.reader}", "all"] for line in lines})
    hub = Hub(log, epoch="epoch", now=lambda: 1.0, spread=spread)
    joined(hub, *lines)
    return hub


async def test_a_send_under_way_is_finished_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that is being sent something gets its goodbye after it; one that never reads, at the deadline."""
    monkeypatch.setattr(drain, "NOTICE", 0.0)
    monkeypatch.setattr(drain, "IN_FLIGHT", 0.5)
    quick, busy, stuck = Line("1"), Line("2", slow=True), Line("3", slow=True)
    hub = a_hub(quick, busy, stuck)
    draining = asyncio.create_task(drain.drain(hub))
    await until(lambda: quick.closed is CloseCode.DRAIN)
    assert (busy.closed, stuck.closed) == (None, None)
    busy.slow = False
    hub.free(busy)
    await until(lambda: busy.closed is CloseCode.DRAIN)
    assert stuck.closed is None
    await draining
    assert stuck.closed is CloseCode.DRAIN
    assert not hub.connections


async def until(level: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not level():
            await asyncio.sleep(0.005)


async def test_who_comes_too_late_is_told_a_time_too() -> None:
    """A connection that was being opened when the drain began."""
    hub = a_hub()
    await drain.drain(hub)
    late = Line("1")
    hub.join(late)
    assert (late.closed, late.frames, hub.connections) == (CloseCode.DRAIN, [], set())


async def test_without_seconds_all_are_closed_at_once() -> None:
    """DRAIN_SECONDS = 0, for development."""
    one, two = Line("1"), Line("2")
    began = time.monotonic()
    await drain.drain(a_hub(one, two, spread=0))
    assert (one.closed, two.closed) == (CloseCode.DRAIN, CloseCode.DRAIN)
    assert time.monotonic() - began < drain.NOTICE


@pytest.mark.parametrize(("count", "spread"), [(1, 1), (7, 1000), (500, 10_000), (5, 0)])
def test_the_times_are_spread_evenly(count: int, spread: int) -> None:
    """One in each of as many equal parts as there are clients; never 0, which would mean that there is none."""
    shares = list(drain.shares(count, spread))
    assert len(shares) == count
    for number, share in enumerate(shares):
        assert spread * number / count <= share <= spread * (number + 1) / count + 1
        assert share > 0


# The word: SIGTERM.


class Gunicorn(Site):
    """uvicorn below gunicorn."""

    def command(self) -> list[str]:
        options = ["--bind", f"127.0.0.1:{self.port}", "--worker-class", "uvicorn.workers.UvicornWorker"]
        return [sys.executable, "-m", "gunicorn", *options, self.application]

    def answers(self) -> bool:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "Application startup complete" in text


@pytest.fixture(params=[Site, Framed, Channels, Daphne, Gunicorn])
def server(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Site]:
    with request.param(DRAIN_SECONDS=2) as running:
        yield running


def test_sigterm_says_goodbye_before_the_server_closes(server: Site, alice: Any) -> None:
    """On every server, with and without lifespan: 4000 with a time to come back, where uvicorn alone would say 1012."""
    with Page(server, log_in(alice)) as page:
        notify(alice, "before")
        page.badge(1)
        took = terminate(server)
        code, bye = end_of(page)
    assert code == CloseCode.DRAIN
    assert bye is not None
    assert 0 < bye["retry"] <= 2001
    assert took < 5


def test_what_comes_while_it_drains_still_arrives(alice: Any, transactional_db: None) -> None:
    """Between readiness and the goodbye, an open page hears what is published as ever."""
    with serving(DRAIN_SECONDS=2) as site, Page(site, log_in(alice)) as page:
        assert site.process is not None
        site.process.send_signal(signal.SIGTERM)
        while ready(site).status_code == 200:
            pass
        notify(alice, "meanwhile")
        page.badge(1, seconds=0.9)
        assert end_of(page)[0] == CloseCode.DRAIN


def test_who_comes_while_it_drains_is_sent_elsewhere(alice: Any, transactional_db: None) -> None:
    """Not ready, and 503 for every transport: what a proxy takes as the sign to ask another process."""
    cookie = log_in(alice)
    with serving(DRAIN_SECONDS=2) as site, Page(site, cookie) as page:
        before = ready(site)
        assert (before.status_code, before.json()) == (200, {"ready": True, "connections": 1, "bus": True})
        assert site.process is not None
        site.process.send_signal(signal.SIGTERM)
        while (answer := ready(site)).status_code == 200:
            pass
        assert (answer.status_code, answer.json()["ready"]) == (503, False)
        with pytest.raises(InvalidStatus) as refused:
            with open_socket(site, cookie=cookie):
                pass
        assert refused.value.response.status_code == 503
        for more in ("", "?wait=5"):
            url = f"{site.url}/livebell/socket/{more}"
            assert httpx.get(url, cookies={"sessionid": cookie}, trust_env=False).status_code == 503
        assert end_of(page)[0] == CloseCode.DRAIN


def test_nginx_asks_the_next_process(alice: Any, transactional_db: None) -> None:
    """With the lines of docs/deployment.md nobody notices: what a draining process refuses, another takes in."""
    cookie = log_in(alice)
    with serving(DRAIN_SECONDS=2) as one, serving() as two, Page(one, cookie) as page:
        with nginx(one, two) as front, contextlib.ExitStack() as stack:
            assert one.process is not None
            one.process.send_signal(signal.SIGTERM)
            while ready(one).status_code == 200:
                pass
            for _ in range(4):  # every other one is sent to the one that drains
                stack.enter_context(open_socket(front, cookie=cookie))
            assert ready(one).json()["connections"] == 1
        assert end_of(page)[0] == CloseCode.DRAIN


def nginx(*sites: Site) -> Any:
    return had("nginx", lambda: Nginx([site.port for site in sites]))


def test_a_second_sigterm_ends_at_once(alice: Any, transactional_db: None) -> None:
    """Whoever insists gets what the server does by itself."""
    with serving(DRAIN_SECONDS=2) as site, Page(site, log_in(alice)) as page:
        assert site.process is not None
        site.process.send_signal(signal.SIGTERM)
        time.sleep(0.6)  # a second one within half a second is the same one
        took = terminate(site)
        assert (end_of(page)[0], took < 0.7) == (1012, True)


def test_ctrl_c_is_immediate(alice: Any, transactional_db: None) -> None:
    """In development nobody waits."""
    with serving() as site, Page(site, log_in(alice)) as page:
        assert site.process is not None
        began = time.monotonic()
        site.process.send_signal(signal.SIGINT)
        site.process.wait(timeout=10)
        assert (end_of(page)[0], time.monotonic() - began < 0.9) == (1012, True)


def test_a_lost_bus_is_said_and_is_no_reason_to_leave(own_redis: Any, transactional_db: None) -> None:
    """Everything still arrives without it, so a process stays ready."""
    with serving(bus="redis", redis=own_redis.url) as site:
        wait_for(site, bus=True)
        own_redis.stop()
        wait_for(site, bus=False)
        own_redis.start()
        wait_for(site, bus=True)


def wait_for(site: Site, *, bus: bool) -> None:
    end = time.monotonic() + 10
    while (said := ready(site)).json()["bus"] is not bus:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert said.status_code == 200


def test_nobody_connected_nothing_to_wait_for(transactional_db: None) -> None:
    """An idle process ends as fast as ever."""
    with serving() as site:
        assert ready(site).json()["connections"] == 0
        assert terminate(site) < 0.9


class Workers(Site):
    """Two processes below one uvicorn, which passes the signal on."""

    def command(self) -> list[str]:
        return [*super().command(), "--workers", "2"]

    def answers(self) -> bool:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return text.count("Application startup complete") == 2


def test_uvicorn_s_workers_drain_too(alice: Any, transactional_db: None) -> None:
    """Also when a supervisor signals the whole group, so that each worker gets it twice."""
    cookie = log_in(alice)
    with Workers(DRAIN_SECONDS=2) as site, contextlib.ExitStack() as stack:
        pages = [stack.enter_context(Page(site, cookie)) for _ in range(8)]
        assert site.process is not None
        signal_group(site)
        site.process.wait(timeout=15)
        assert [end_of(page)[0] for page in pages] == [CloseCode.DRAIN] * 8


def signal_group(site: Site) -> None:
    assert site.process is not None
    os.killpg(site.process.pid, signal.SIGTERM)


# The word: a command.


def drain_command(*words: str) -> str:
    out = StringIO()
    call_command("livebell_drain", *words, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize("bus", ["database", "redis"])
def test_the_command_reaches_every_process(
    bus: str, alice: Any, request: pytest.FixtureRequest, settings: Any, transactional_db: None
) -> None:
    """On every bus, within a second of the word; it says who drained, and a process that begins later isn't meant."""
    chosen = on_bus(request, bus) | {"DRAIN_SECONDS": 2}
    settings.LIVEBELL = {"BUS": bus} | (
        {"REDIS_URL": chosen["redis"], "PREFIX": chosen["PREFIX"]} if bus == "redis" else {}
    )
    cookie = log_in(alice)
    with Site(**chosen) as one, Site(**chosen) as two, Page(one, cookie) as page, Page(two, cookie) as other:
        began = time.monotonic()
        said = drain_command()
        took = time.monotonic() - began
        assert "2 live processes have drained" in said
        assert said.count(": 1 of 1 connections sent elsewhere") == 2
        assert (end_of(page)[0], end_of(other)[0]) == (CloseCode.DRAIN, CloseCode.DRAIN)
        assert (ready(one).status_code, ready(two).status_code) == (503, 503)
        with Site(**chosen) as later:
            assert ready(later).status_code == 200
            with Page(later, cookie) as again:
                notify(alice, "on the new one")
                again.badge(1)
        assert took < 1.0 + 1.0 + 2.0 + 1.0, "the word, notice, nobody else comes, a busy machine"
        assert terminate(one) < 2


def test_the_command_says_when_nobody_answers() -> None:
    """No live process, no success claimed."""
    assert "No live process has answered within 0.5 s" in drain_command("--wait", "0.5")


@pytest.mark.parametrize("value", ["0", "-1", "nan", "1e9"])
def test_nonsense_is_refused(value: str) -> None:
    """By name, before anything happens."""
    before = store.history()
    with pytest.raises(CommandError, match="--wait"):
        drain_command("--wait", value)
    assert store.history() == before

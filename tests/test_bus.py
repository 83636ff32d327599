"""One contract for every bus (``bus/base.py``), and what is each one's own."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import override_settings

from livebell.bus import get_bus
from livebell.bus.base import Breaker, deliver
from livebell.bus.channel_layer import GROUP, ChannelLayerBus, layer_or_none
from livebell.bus.redis import RedisBus

BUSES = ["database", "memory", "core", "pubsub", "redis"]
BACKENDS = {
    "memory": "channels.layers.InMemoryChannelLayer",
    "core": "channels_redis.core.RedisChannelLayer",
    "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer",
}


class Ear:
    """A listener that keeps what it hears, and can be awaited."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.loop = asyncio.get_running_loop()
        self.news = asyncio.Event()

    def keep(self, what: Any) -> None:
        self.heard.append(what)
        self.loop.call_soon_threadsafe(self.news.set)

    def hint(self, hints: Any) -> None:
        self.keep(("hint", dict(hints)))

    def push(self, push: dict[str, Any]) -> None:
        self.keep(("push", push))

    def publish(self, message: dict[str, Any]) -> None:
        self.keep(("publish", message))

    def gap(self) -> None:
        self.keep("gap")

    async def until(self, what: Any, seconds: float = 5) -> None:
        async with asyncio.timeout(seconds):
            while what not in self.heard:
                self.news.clear()
                await self.news.wait()


@pytest.fixture(params=BUSES)
def bus_name(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each bus in turn, configured."""
    with configured(request, request.param):
        yield request.param


def configured(request: pytest.FixtureRequest, name: str) -> Any:
    redis = request.getfixturevalue("redis_server").url if name in ("core", "pubsub", "redis") else ""
    layers = {}
    if name in BACKENDS:
        layers["default"] = {"BACKEND": BACKENDS[name], **({"CONFIG": {"hosts": [redis]}} if redis else {})}
    chosen = {"BUS": "channel-layer" if name in BACKENDS else name, "PREFIX": f"bus{time.time_ns()}"}
    if name == "redis":
        chosen["REDIS_URL"] = redis
    return override_settings(LIVEBELL=chosen, CHANNEL_LAYERS=layers)


@asynccontextmanager
async def listening(bus: Any) -> AsyncIterator[Ear]:
    """Another process, as far as the bus can tell."""
    ear = Ear()
    task = asyncio.create_task(bus.listen(ear))
    try:
        yield ear
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def other_process(name: str) -> Any:
    return RedisBus() if name == "redis" else ChannelLayerBus()


# The contract.


async def test_this_process_hears_at_once(bus_name: str) -> None:
    """A listener of the same process hears hints and pushes before ``publish`` returns."""
    bus, ear = get_bus(), Ear()
    bus.attach(ear)
    await sync_to_async(bus.publish)({"hints": {"user:1": 7}})
    await sync_to_async(bus.publish)({"push": {"topic": "t"}})
    assert ear.heard == [("hint", {"user:1": 7}), ("push", {"topic": "t"})]
    bus.detach(ear)
    await sync_to_async(bus.publish)({"hints": {"user:1": 8}})
    assert len(ear.heard) == 2


async def test_other_processes_hear(bus_name: str) -> None:
    """What is published reaches those who listen elsewhere; who begins to listen is told to check positions."""
    if bus_name in ("database", "memory"):
        pytest.skip("reaches other processes by the position check" if bus_name == "database" else "is one process")
    async with listening(other_process(bus_name)) as ear:
        await ear.until("gap")
        await sync_to_async(get_bus().publish)({"hints": {"user:1": 7, "reader:2": 3}})
        await ear.until(("hint", {"user:1": 7, "reader:2": 3}))
        await sync_to_async(get_bus().publish)({"push": {"topic": "t", "event": "e"}})
        await ear.until(("push", {"topic": "t", "event": "e"}))


async def test_a_failing_listener_ends_cleanly(bus_name: str) -> None:
    """Listening can be cancelled at any time, and begun again."""
    bus = other_process(bus_name) if bus_name not in ("database", "memory") else get_bus()
    for _ in range(3):
        async with listening(bus):
            await asyncio.sleep(0)


def test_publishing_never_raises(bus_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the broker's client raises, the publisher goes on; and is not made to wait again while it is broken."""
    bus, calls = get_bus(), []

    def fail(message: Any) -> None:
        calls.append(message)
        raise OSError("broken")

    monkeypatch.setattr(bus, "send", fail)
    for _ in range(50):
        bus.publish({"hints": {"user:1": 7}})
    assert len(calls) == 1


NONSENSE = [
    None, 7, "x", [], {}, {"hints": 7}, {"hints": {"user:1": "7"}}, {"hints": {"user:1": True}}, {"hints": {1: 2}},
    {"push": 7}, {"hints": {"user:1": 2.5}},
]  # fmt: skip


async def test_nonsense_on_the_bus_is_ignored() -> None:
    """Only hints of text and whole numbers get through."""
    ear = Ear()
    for message in NONSENSE:
        deliver(ear, message)
    assert [heard for heard in ear.heard if heard != ("hint", {})] == []


# Redis.


@pytest.mark.parametrize("kind", ["refused", "black hole"])
def test_a_broken_redis_costs_one_short_wait(kind: str) -> None:
    """Refused or swallowed: the first publish takes at most 250 ms, the next ones nothing."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        if kind == "black hole":
            hole.listen(1)
        with override_settings(LIVEBELL={"BUS": "redis", "REDIS_URL": f"redis://127.0.0.1:{hole.getsockname()[1]}/0"}):
            took = [timed(lambda: get_bus().publish({"hints": {"user:1": 7}})) for _ in range(20)]
    assert took[0] < 0.30
    assert max(took[1:]) < 0.05


def timed(function: Any) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def test_publishing_opens_one_connection(redis_server: Any) -> None:
    """A hundred publishes in a row use the same connection."""
    import redis

    with (
        override_settings(LIVEBELL={"BUS": "redis", "REDIS_URL": redis_server.url}),
        redis.Redis.from_url(redis_server.url) as client,
    ):
        get_bus().publish({"hints": {"user:1": 7}})
        before = client.info("stats")["total_connections_received"]
        for _ in range(100):
            get_bus().publish({"hints": {"user:1": 7}})
        assert client.info("stats")["total_connections_received"] == before


def test_a_line_outlives_a_restart(own_redis: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Redis has closed the connection since the last publish: the next one goes out over a new one."""
    import redis

    with override_settings(LIVEBELL={"BUS": "redis", "REDIS_URL": own_redis.url}):
        get_bus().publish({"hints": {"user:1": 1}})
        own_redis.stop()
        own_redis.start()
        with redis.Redis.from_url(own_redis.url) as client, client.pubsub(ignore_subscribe_messages=True) as ear:
            ear.subscribe("livebell:bus")
            assert ear.get_message(timeout=5) is None, "subscribed"
            get_bus().publish({"hints": {"user:1": 2}})
            message = ear.get_message(timeout=5)
        assert message is not None
        assert message["data"] == b'{"hints":{"user:1":2}}'
    assert "can't send" not in caplog.text


def test_a_redis_that_falls_silent_costs_one_short_wait() -> None:
    """The line was good, then everything is swallowed: the publish after that waits 250 ms, once."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answers = threading.Thread(target=answer_twice, args=[silent], daemon=True)
        answers.start()
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0?protocol=2&lib_name=&lib_version="
        with override_settings(LIVEBELL={"BUS": "redis", "REDIS_URL": url}):
            took = [timed(lambda: get_bus().publish({"hints": {"user:1": 7}})) for _ in range(20)]
    assert max(took) < 0.3
    assert sum(one > 0.2 for one in took) == 1, took


def answer_twice(server: socket.socket) -> None:
    """Answer two commands as Redis would, then read and say nothing until the other end goes."""
    client, _ = server.accept()
    with client:
        for _ in range(2):
            client.recv(65536)
            client.sendall(b":1\r\n")
        while client.recv(65536):
            pass


def test_what_redis_refuses_opens_the_breaker(own_redis: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A user who may not publish: noticed one publish later, and said in the log."""
    import redis

    with redis.Redis.from_url(own_redis.url) as client:
        client.execute_command("ACL", "SETUSER", "mute", "on", ">secret", "+@all", "-publish", "~*", "&*")
    url = own_redis.url.replace("redis://", "redis://mute:secret@")
    with override_settings(LIVEBELL={"BUS": "redis", "REDIS_URL": url}):
        for _ in range(3):
            get_bus().publish({"hints": {"user:1": 7}})
    assert "can't send" in caplog.text
    assert "secret" not in caplog.text


async def test_a_subscriber_outlives_a_restart(own_redis: Any) -> None:
    """Redis stops and starts again: the listener is told to check, and hears again."""
    with override_settings(LIVEBELL={"BUS": "redis", "REDIS_URL": own_redis.url}):
        async with listening(RedisBus()) as ear:
            await ear.until("gap")
            await asyncio.to_thread(own_redis.stop)
            ear.heard.clear()
            await asyncio.to_thread(own_redis.start)
            await ear.until("gap", 10)
            async with asyncio.timeout(10):
                while ("hint", {"user:1": 9}) not in ear.heard:  # nothing says when it has subscribed again
                    await sync_to_async(RedisBus().send)({"hints": {"user:1": 9}})
                    await asyncio.sleep(0.05)


async def test_a_swallowed_link_is_noticed(redis_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that accepts everything and answers nothing is given up after two probes; without the probe it never is."""
    monkeypatch.setattr("livebell.bus.redis.PROBE_EVERY", 0.3)
    async with swallowing_proxy(redis_server.port) as (port, swallow):
        with override_settings(LIVEBELL={"BUS": "redis", "REDIS_URL": f"redis://127.0.0.1:{port}/0"}):
            async with listening(RedisBus()) as ear:
                await ear.until("gap")
                ear.heard.clear()
                swallow.set()
                await ear.until("gap", 3)


@asynccontextmanager
async def swallowing_proxy(target: int) -> AsyncIterator[tuple[int, asyncio.Event]]:
    swallow = asyncio.Event()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if not swallow.is_set():
                writer.write(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", target)
        tasks = [asyncio.create_task(pump(reader, back)), asyncio.create_task(pump(there, writer))]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, back):
            end.close()
        for task in tasks:
            task.cancel()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], swallow
    finally:
        server.close()


# Channel layers.


@pytest.mark.parametrize("name", ["memory", "core", "pubsub"])
async def test_a_script_publishes_through_the_group(name: str, request: pytest.FixtureRequest) -> None:
    """``livebell.publish`` in the group reaches the listener as it was sent; other types are ignored."""
    with configured(request, name):
        async with listening(ChannelLayerBus()) as ear:
            await ear.until("gap")
            layer = layer_or_none()
            await layer.group_send(GROUP, {"type": "livebell.dance"})
            await layer.group_send(GROUP, {"type": "livebell.publish", "to": "all", "title": "x"})
            await ear.until(("publish", {"to": "all", "title": "x"}))
            assert len(ear.heard) == 2


async def test_membership_is_renewed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """channels_redis.core forgets a member after ``group_expiry``; ours is still there after it."""
    monkeypatch.setattr("livebell.bus.channel_layer.PROBE_EVERY", 0.2)
    monkeypatch.setattr("livebell.bus.channel_layer.REJOIN_EVERY", 0.2)
    redis = request.getfixturevalue("redis_server").url
    layers = {"default": {"BACKEND": BACKENDS["core"], "CONFIG": {"hosts": [redis], "group_expiry": 1}}}
    with override_settings(LIVEBELL={"BUS": "channel-layer"}, CHANNEL_LAYERS=layers):
        async with listening(ChannelLayerBus()) as ear:
            await ear.until("gap")
            await asyncio.sleep(2.2)  # the expiry itself is the subject, and the layer counts it in whole seconds
            await layer_or_none().group_send(GROUP, {"type": "livebell.publish", "title": "late"})
            await ear.until(("publish", {"title": "late"}))


# The breaker.


def test_breaker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opens at a failure, lets one caller try after the pause, closes at a success."""
    now = [100.0]
    monkeypatch.setattr("livebell.bus.base.monotonic", lambda: now[0])
    breaker = Breaker()
    assert breaker.closed
    breaker.trip(OSError())
    assert not breaker.closed
    now[0] += Breaker.PAUSE + 0.1
    assert breaker.closed
    assert not breaker.closed, "one at a time"
    breaker.mend()
    assert breaker.closed
    assert breaker.closed


async def test_bad_bytes_deafen_nobody(redis_server: Any, request: pytest.FixtureRequest) -> None:
    """What isn't JSON, isn't text, or is nested without end: ignored, and the next hint is heard."""
    import redis

    from livebell.conf import conf

    with configured(request, "redis"), redis.Redis.from_url(redis_server.url) as client:
        async with listening(RedisBus()) as ear:
            await ear.until("gap")
            for data in (b"\xff", b'{"hints":{"\xff":1}}', b"[" * 100_000, b"", b"null"):
                client.publish(f"{conf().PREFIX}:bus", data)
            client.publish(f"{conf().PREFIX}:bus", b'{"hints":{"user:1":7}}')
            await ear.until(("hint", {"user:1": 7}))

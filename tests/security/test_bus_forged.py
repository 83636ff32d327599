"""Whoever can write to the bus can wake processes up, and nothing else (T13, T14, and LAYER_PUBLISH)."""

from __future__ import annotations

import ast
import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.test import override_settings

import livebell
from livebell import notify, push
from livebell.api import is_signed, subscribe
from livebell.models import Notification
from tests.helpers import commits, listening, person
from tests.security.listener import TRANSPORTS, Listener
from tests.security.servers import Watched
from tests.site import log_in

FORGERIES = 10_000


def forgeries(key: int) -> Iterator[Any]:
    """Messages of every shape: right ones with wrong positions, wrong types, foreign names, events without a signature,
    and what the handlers of other designs would obey."""
    chance = random.Random(13)
    names = [f"user:{key}", f"reader:{key}", "all", "reader:", "user:*", "group:1", "livebell", "\0", "é" * 50]
    values: list[Callable[[], Any]] = [
        lambda: chance.randint(-(2**63), 2**63), lambda: 2**64 - 1, lambda: chance.random(), lambda: None, lambda: True,
        lambda: "FORGED", list, lambda: {"FORGED": 1}, lambda: chance.randint(0, 20), lambda: 2**53 - 1,
    ]  # fmt: skip
    push = {"topic": "all", "event": "FORGED", "data": "FORGED", "key": "FORGED"}
    shapes: list[Callable[[], Any]] = [
        lambda: {"hints": {chance.choice(names): chance.choice(values)() for _ in range(chance.randint(0, 4))}},
        lambda: {"hints": {chance.choice(names): chance.randint(0, 2**53)}},
        lambda: {"hints": chance.choice(values)()},
        lambda: {"push": {**push, "signature": chance.choice(["", "FORGED", "0" * 64, 5, None])}},
        lambda: {"push": {**push, "topic": f"user:{key}"}},
        lambda: {"push": {name: chance.choice(values)() for name in (*push, "signature")}},
        lambda: {"push": chance.choice(values)()},
        lambda: {"entries": [{"seq": 1, "title": "FORGED"}], "snapshot": {"unread": 99}, "title": "FORGED"},
        lambda: {"type": chance.choice(["websocket.close", "websocket.send", "livebell.bus", "bye", "FORGED"]), "text": "FORGED"},
        lambda: chance.choice(values)(),
    ]  # fmt: skip
    for _ in range(FORGERIES):
        yield chance.choice(shapes)()


def over_redis(url: str, prefix: str, messages: list[Any]) -> None:
    with redis.Redis.from_url(url) as client:
        for start in range(0, len(messages), 500):
            pipeline = client.pipeline(transaction=False)
            for message in messages[start : start + 500]:
                pipeline.publish(f"{prefix}:bus", msgspec.json.encode(message))
            for garbage in (b"\xff\xfe", b"{", b"[" * 3000, b"\x80\x04\x95cos\nsystem\n(S'id'\ntR.", b""):
                pipeline.publish(f"{prefix}:bus", garbage)
            pipeline.execute()


def over_layer(layer: type, url: str, messages: list[Any]) -> None:
    async def send() -> None:
        sender = layer(hosts=[url], capacity=20_000)
        sends = [{"type": "livebell.bus", **message} for message in messages if isinstance(message, dict)]
        for start in range(0, len(sends), 100):
            await asyncio.gather(*(sender.group_send("livebell", message) for message in sends[start : start + 100]))
        await getattr(sender, "close_pools", asyncio.sleep)(*([] if hasattr(type(sender), "close_pools") else [0]))

    asyncio.run(send())


LAYERS = {"core": RedisChannelLayer, "pubsub": RedisPubSubChannelLayer}


@pytest.mark.redis
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("bus", ["redis", "core", "pubsub"])
def test_ten_thousand_forged_messages(bus: str, own_redis: Any) -> None:
    """Three open pages while they come: no frame says what isn't in the database, no page is closed, nothing raises, the
    database is asked less often than there are messages by far, and what is real still arrives."""
    alice = person("alice")
    prefix = f"forged{time.time_ns()}"
    chosen: dict[str, Any] = {"bus": "redis", "redis": own_redis.url, "PREFIX": prefix}
    if bus != "redis":
        chosen = {"bus": "channel-layer", "layer": bus, "redis": own_redis.url}
    given = {"BUS": chosen["bus"], "REDIS_URL": own_redis.url, "PREFIX": prefix}
    layers = (
        {} if bus == "redis" else {"default": {"BACKEND": path_of(LAYERS[bus]), "CONFIG": {"hosts": [own_redis.url]}}}
    )
    with override_settings(LIVEBELL=given, CHANNEL_LAYERS=layers), Watched(LAYER_PUBLISH=False, **chosen) as site:
        subscribe(alice, "ledger")
        pages = [Listener(site, log_in(alice), transport) for transport in TRANSPORTS]
        messages = [m for m in forgeries(alice.pk) if not (bus != "redis" and unpackable(m))]
        before, began = site.figures(), time.monotonic()
        if bus == "redis":
            over_redis(own_redis.url, prefix, messages)
        else:
            over_layer(LAYERS[bus], own_redis.url, messages)
        notify(alice, "real")
        for page in pages:
            page.until({"real"}, 40)
        while not pages[0].kinds("push"):  # comes after all of them; a full channel layer drops it
            push("ledger", "end")
            time.sleep(0.1)
            assert time.monotonic() < began + 60
        after, took = site.figures(), time.monotonic() - began
        said = site.said
    asked = after["statements"] - before["statements"]
    print(f"{bus}: {len(messages)} forged in {took:.1f} s, {asked} statements")
    assert asked < len(messages) / 4
    assert "Traceback" not in said
    for page in pages:
        assert page.code is None
        assert page.titles() == ["real"]
        assert "FORGED" not in json.dumps([frame for _, frame in page.frames])
    assert [row.title for row in Notification.objects.all()] == ["real"]


def path_of(layer: type) -> str:
    return f"{layer.__module__}.{layer.__name__}"


def unpackable(message: Any) -> bool:
    """msgpack, in which a layer writes, has no integers above 64 bits."""
    return any(isinstance(value, int) and not -(2**63) <= value < 2**64 for value in flat(message))


def flat(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from flat(inner)
    else:
        yield value


@pytest.mark.redis
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("may", [True, False])
@pytest.mark.parametrize("bus", ["redis", "channel-layer"])
def test_a_layer_publishes_only_where_it_may(may: bool, bus: str, redis_server: Any) -> None:
    """``LAYER_PUBLISH = False`` holds on every bus, also where the layer is the bus itself."""
    alice = person("alice")
    chosen = {
        "bus": bus,
        "redis": redis_server.url,
        "layer": "core",
        "LAYER_PUBLISH": may,
        "PREFIX": f"may{time.time_ns()}",
    }
    given = {"BUS": bus, "REDIS_URL": redis_server.url, "PREFIX": chosen["PREFIX"]}
    layers = {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [redis_server.url]}}}
    with override_settings(LIVEBELL=given, CHANNEL_LAYERS=layers), Watched(**chosen) as site:
        page = Listener(site, log_in(alice), "socket")
        script = {"type": "livebell.publish", "to": f"user:{alice.pk}", "title": "by a script"}

        async def send() -> None:
            layer = RedisChannelLayer(hosts=[redis_server.url])
            await layer.group_send("livebell", script)
            await layer.close_pools()

        asyncio.run(send())
        if may:
            page.until({"by a script"})
        time.sleep(0 if may else 0.5)  # nothing tells that nothing comes; the other case takes a tenth of it
        notify(alice, "real")
        page.until({"real"})
        assert page.titles() == (["by a script", "real"] if may else ["real"])


# Signatures of pushes


def signed() -> dict[str, Any]:
    """A push as the bus carries it."""
    with listening() as ear:
        push("order:1", "changed", {"state": "paid", "n": [1, 2.5, None, "é"]}, key="state")
    return ear.pushes[0]


@commits
def test_a_push_is_signed_and_nothing_of_it_can_be_changed() -> None:
    """Its own signature is right, also after the way through JSON; any other field, or none, makes it nobody's."""
    sent = signed()
    assert is_signed(sent)
    assert is_signed(msgspec.json.decode(msgspec.json.encode(sent)))
    for field, value in (("topic", "order:2"), ("event", "x"), ("data", None), ("key", ""), ("signature", "0" * 64)):
        assert not is_signed({**sent, field: value})
        assert not is_signed({name: kept for name, kept in sent.items() if name != field})
    assert not is_signed({})


@commits
def test_a_signature_outlives_the_rotation_of_the_secret_key() -> None:
    """A process with the new key takes what one with the old key has signed, as long as it is a fallback."""
    with override_settings(SECRET_KEY="old"):
        sent = signed()
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["old"]):
        assert is_signed(sent)
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=[]):
        assert not is_signed(sent)


# What could run what it reads


PACKAGE = Path(livebell.__file__).parent
UNSAFE = {"pickle", "cPickle", "dill", "marshal", "shelve", "yaml", "jsonpickle", "cloudpickle", "joblib"}
RUNS = {"eval", "exec", "compile", "__import__"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_can_run_what_it_reads(path: Path) -> None:
    """No pickle, marshal, yaml; no eval: what comes from outside is JSON with types, and nothing else."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not UNSAFE & {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in UNSAFE
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in RUNS


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_calls_out(path: Path) -> None:
    """No client for other servers than Redis: there is no address in a notification, a token or a setting that a process
    of ours would fetch (T28)."""
    outside = {
        "requests",
        "httpx",
        "urllib3",
        "aiohttp",
        "http.client",
        "urllib.request",
        "socket",
        "smtplib",
        "ftplib",
    }
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not outside & {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            assert node.module not in outside

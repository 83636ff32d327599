"""The live side of one process: store, bus and hub wired together, and the loops that need a clock.

Started by the first connection, or by the server's ``lifespan``. Never imported by code that only publishes.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Collection, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import count
from platform import node
from random import uniform
from threading import Barrier, BrokenBarrierError
from time import monotonic
from typing import Any, ParamSpec, TypeVar
from uuid import uuid4
from weakref import WeakKeyDictionary

from django.contrib.auth import get_user_model
from django.db import Error, InterfaceError, OperationalError, connections

from . import api, sessions, store
from .bus import Hints, get_bus
from .bus.channel_layer import ChannelLayerBus, layer_or_none, listen_to_layer
from .conf import conf
from .content import NotifyError
from .crowd import Crowd
from .drain import drain
from .hub import Hub
from .protocol import PING_EVERY
from .sigterm import Sigterm

logger = logging.getLogger("livebell.live")

P = ParamSpec("P")
T = TypeVar("T")

WORKERS = 4
"""Threads, and so statements of this process at one time, beside the position check's."""
CHECK_EVERY = 15.0
"""Seconds between two position checks that leave nothing out."""
SWEEP_EVERY = 1.0
"""Seconds between two looks into the outbox for what a crash left behind."""
REPORT_EVERY = 0.3
"""Seconds between two words to the one who has told this process to drain."""
RECOUNT_EVERY = 50
"""Seconds, a little longer under load, after which who a reader is and what it may read is asked again, if nobody said
anything: promised are sixty."""
ANONYMOUS = "\0"
"""How the reader's key of somebody begins who isn't logged in; no primary key begins so."""
MAX_INTAKE = 1000
"""Publishes over the channel layer that may wait for the database."""


class Live:
    """One per event loop: ``await Live.of_this_loop()``."""

    _instances: WeakKeyDictionary[asyncio.AbstractEventLoop, Live] = WeakKeyDictionary()

    def __init__(self) -> None:
        self.bus = get_bus()
        self.hub: Hub
        self._loop = asyncio.get_running_loop()
        self._workers = ThreadPoolExecutor(WORKERS, "livebell")
        # SQLite's change test counts what other connections commit: one thread, one connection, and it never writes.
        self._watcher = ThreadPoolExecutor(1, "livebell-watch")
        self._tasks: list[asyncio.Task[None]] = []
        self._gap = asyncio.Event()
        self._intake: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MAX_INTAKE)
        self._process = uuid4().hex
        self._asking: dict[str, list[asyncio.Future[str | None]]] = {}
        self._asked: asyncio.Task[None] | None = None
        self._ready = asyncio.Lock()
        self.askers, self.newcomers = Crowd(), Crowd()
        self._sigterm: Sigterm
        self._drains = 0
        self._draining: asyncio.Task[None] | None = None
        self._obeying: asyncio.Task[None] | None = None

    @classmethod
    async def of_this_loop(cls) -> Live:
        """The live side of the running loop, started if it isn't yet. Raises what the database raises."""
        loop = asyncio.get_running_loop()
        live = cls._instances[loop] = cls._instances.get(loop) or cls()
        await live.start()
        return live

    async def start(self) -> None:
        """Begin to listen."""
        async with self._ready:
            if self._tasks:
                return
            source = StoreSource(self)
            epoch, self._drains = await self.db(store.history)
            self.hub = Hub(
                source,
                epoch=epoch,
                now=store.now,
                max_connections=conf().MAX_CONNECTIONS,
                spread=round(conf().DRAIN_SECONDS * 1000),
            )
            self.bus.attach(self)
            listen = partial(self.bus.listen, self)
            loops: list[Callable[[], Coroutine[Any, Any, None]]]
            loops = [self.hub.run, listen, self._check, self._sweep, self._tick, self._take_in]
            if conf().LAYER_PUBLISH and not isinstance(self.bus, ChannelLayerBus) and layer_or_none() is not None:
                loops.append(partial(listen_to_layer, self))
            self._tasks = [self._loop.create_task(self._guard(loop)) for loop in loops]
            self._sigterm = Sigterm(self.drain)

    async def stop(self) -> None:
        """End everything this has started."""
        self._instances.pop(self._loop, None)
        self.bus.detach(self)
        if self._tasks:
            self._sigterm.leave()
        tasks = [*self._tasks, *filter(None, (self._draining, self._obeying))]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks = []
        for pool, threads in ((self._workers, WORKERS), (self._watcher, 1)):
            close = partial(_close_connections, Barrier(threads))
            await asyncio.gather(*(self._loop.run_in_executor(pool, close) for _ in range(threads)))
            pool.shutdown(wait=False)

    async def drain(self) -> None:
        """Take in nobody any more, and tell all who are here to come back elsewhere; returns when they have been told."""
        if self._draining is None:
            logger.info("live: draining %d connections", len(self.hub.connections))
            self._draining = self._loop.create_task(drain(self.hub))
        await asyncio.shield(self._draining)

    @property
    def ready(self) -> bool:
        """Whether this process takes in connections."""
        return bool(self._tasks) and not self.hub.draining

    async def db(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of the store in a thread of this process's own, away from the threads of slow views."""
        return await self._loop.run_in_executor(self._workers, partial(_with_connection, function, *args, **kwargs))

    async def reader_of(self, session: str) -> str | None:
        """The reader's key of the user of this session. All who ask in the same moment share two queries."""
        await self.askers.gather()
        answer: asyncio.Future[str | None] = self._loop.create_future()
        self._asking.setdefault(session, []).append(answer)
        if self._asked is None:
            self._asked = self._loop.create_task(self._answer())
        return await answer

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        while self._asking:
            asking, self._asking = self._asking, {}
            try:
                users = await self.db(sessions.users_of, list(asking))
            except Exception as error:  # noqa: BLE001 (each who asked gets it)
                self._settle(asking, lambda answer, session, error=error: answer.set_exception(error))
            else:
                self._settle(asking, lambda answer, session, users=users: answer.set_result(users.get(session)))
        self._asked = None

    def _settle(self, asking: dict[str, list[asyncio.Future[str | None]]], settle: Callable[..., None]) -> None:
        for session, answers in asking.items():
            for answer in answers:
                if not answer.done():  # who asked may have gone
                    settle(answer, session)

    # What the bus calls, from any thread.

    def hint(self, hints: Hints) -> None:
        """See ``bus.base.Listener``."""
        self._soon(self.hub.hint, hints)

    def push(self, push: dict[str, Any]) -> None:
        """See ``bus.base.Listener``. One that this site has not signed is nobody's."""
        if not api.is_signed(push):
            logger.warning("live: a push without our signature was ignored")
            return
        self._soon(self.hub.push, push["topic"], push["event"], push["data"], push["key"])

    def publish(self, message: dict[str, Any]) -> None:
        """See ``bus.base.Listener``."""
        if conf().LAYER_PUBLISH:
            self._soon(self._put_intake, message)

    def gap(self) -> None:
        """See ``bus.base.Listener``."""
        self._soon(self._gap.set)

    def _soon(self, function: Callable[..., object], *args: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *args)

    # The loops.

    async def _guard(self, loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Keep a loop going, whatever happens in it that nobody thought of."""
        while True:
            try:
                await loop()
            except Exception:
                logger.critical("live: a loop has failed, starting it again", exc_info=True)
            await asyncio.sleep(SWEEP_EVERY)

    async def _check(self) -> None:
        """The position check: what was missed, for whatever reason, is found here (invariant 4)."""
        mark, last, took = None, 0.0, 0.0
        while True:
            await self._gap_or(max(self.bus.check_every * uniform(0.8, 1.2), 19 * took))
            began = self._loop.time()
            try:
                before, mark = mark, await self._watch(store.change_mark)
                if mark == before and not self._gap.is_set() and began - last < CHECK_EVERY:
                    continue
                self._gap.clear()
                await self._compare()
            except Error as error:
                mark = None
                logger.warning("live: position check failed, will be repeated: %r", error)
                await asyncio.sleep(SWEEP_EVERY)  # the gap still stands, and would have us ask again at once
                continue
            last = self._loop.time()
            took = min(last - began, CHECK_EVERY / 19)

    async def _gap_or(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._gap.wait()
        except TimeoutError:
            pass

    async def _compare(self) -> None:
        heads = self.hub.heads
        revs = {key: rev for key, rev in self.hub.revs.items() if not key.startswith(ANONYMOUS)}
        moved = await self._watch(store.moved, heads, revs, self.hub.floors)
        if any(position is not None and position < heads[name] for name, position in moved.streams.items()):
            logger.error("live: the database is older than what was sent: beginning a new epoch")
            self.hub.restart(await self.db(store.new_epoch))
        elif moved.epoch != self.hub.epoch:
            self.hub.restart(moved.epoch)
        if moved.drains > self._drains:
            self._obeying = self._loop.create_task(self._obey(moved.drains))
        self._drains = moved.drains
        for name in moved.streams:
            self.hub.pull(name)
        self.hub.prune(moved.floors)
        self.hub.recount(key for key in moved.readers if key in self.hub.readers)

    async def _obey(self, number: int) -> None:
        """Drain because the database says so, and say there how far it is."""
        total = len(self.hub.connections)
        draining = self._loop.create_task(self.drain())
        while not draining.done():
            await self._report(number, total, done=False)
            await asyncio.wait([draining], timeout=REPORT_EVERY)
        await self._report(number, total, done=True)

    async def _report(self, number: int, total: int, *, done: bool) -> None:
        name = f"{node()[:80]}:{os.getpid()}"
        leaving = store.Leaving(name, total=total, left=len(self.hub.connections), done=done)
        try:
            await self.db(store.report, self._process, number, leaving)
        except Error as error:
            logger.warning("live: can't say how far the drain is: %r", error)

    async def _watch(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._loop.run_in_executor(self._watcher, partial(_with_connection, function, *args, **kwargs))

    async def _sweep(self) -> None:
        """Number what a crash left in the outbox, and take back what has expired."""
        highest = 0
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            try:
                highest = await self.db(sweep, highest)
            except Error as error:
                logger.warning("live: sweep failed, will be repeated: %r", error)

    async def _tick(self) -> None:
        """What needs a clock: pings, slow readers, and the rights that nobody announced the loss of."""
        for second in count(1):
            await asyncio.sleep(1)
            self.hub.expel_slow()
            self.hub.expel_old()
            if second % PING_EVERY == 0:
                await self.hub.ping()
            self.hub.review(second % RECOUNT_EVERY, RECOUNT_EVERY)

    async def _take_in(self) -> None:
        """Store what scripts publish over the channel layer. Waits for the database rather than losing one."""
        while True:
            message = await self._intake.get()
            while not await self._take_in_one(message):  # noqa: ASYNC110 (nothing tells when a database is back)
                await asyncio.sleep(SWEEP_EVERY)

    async def _take_in_one(self, message: dict[str, Any]) -> bool:
        try:
            await self.db(take_in, message, self._process)
        except NotifyError as error:
            logger.warning("live: a publish over the channel layer was dropped: %r", str(error))
        except (OperationalError, InterfaceError) as error:
            logger.warning("live: a publish over the channel layer waits for the database: %r", error)
            return False
        except Exception:
            logger.exception("live: a publish over the channel layer was dropped")
        return True

    def _put_intake(self, message: dict[str, Any]) -> None:
        try:
            self._intake.put_nowait(message)
        except asyncio.QueueFull:
            logger.error("live: a publish over the channel layer was dropped: %d wait already", MAX_INTAKE)


class StoreSource:
    """The hub's source: the store."""

    def __init__(self, live: Live) -> None:
        self.live = live

    async def pull(self, positions: Collection[store.Position]) -> Mapping[store.Position, store.Page]:
        """See ``connection.Source``."""
        return await self.live.db(store.pull, positions)

    async def standings(self, readers: Collection[str]) -> Mapping[str, store.Standing]:
        """See ``connection.Source``."""
        return await self.live.db(standings, readers)

    async def ended(self, given: Mapping[str, str]) -> Collection[str]:
        """See ``connection.Source``."""
        users = await self.live.db(sessions.users_of, list(given))
        return [session for session, reader in given.items() if users.get(session) != reader]


def standings(readers: Collection[str]) -> dict[str, store.Standing]:
    """Standings of these readers, by the project's rule as it is now."""
    nobodies = [key for key in readers if key.startswith(ANONYMOUS)]
    somebodies = [key for key in readers if not key.startswith(ANONYMOUS)]
    found = dict.fromkeys(nobodies, store.public(conf().PUBLIC)) if nobodies and conf().PUBLIC else {}
    return found | (_standings(somebodies) if somebodies else {})


def _standings(readers: list[str]) -> dict[str, store.Standing]:
    if conf().topics is None:
        return store.standings(dict.fromkeys(readers, conf().PUBLIC))
    users = get_user_model()._base_manager.in_bulk(readers)
    return store.standings({str(user.pk): _topics_of(user) for user in users.values()})


def _topics_of(user: Any) -> list[str]:
    """What the project's rule says of one user. If it fails, that one gets the public ones, and nobody else has to wait."""
    try:
        return api.topics_of(user)
    except Exception:
        logger.exception("live: LIVEBELL['STREAMS'] failed for the user %r, who gets no topics", user.pk)
        return list(conf().PUBLIC)


def sweep(highest: int) -> int:
    """Number every outbox row up to *highest*, that is, seen in the last round; returns the highest seen in this one."""
    before: list[int] = []
    while (left := store.pending(highest)) and left != before:
        api.number(left)
        before = left
    until = monotonic() + SWEEP_EVERY
    while monotonic() < until and (expired := store.put_expired()):  # thousands may expire in the same second
        api.number(expired)
    return store.newest_pending()


def take_in(message: dict[str, Any], process: str) -> None:
    """Store one publish over the channel layer, unless another process has. Raises :class:`NotifyError`."""
    if message.get("key") or store.claim(message, process):
        api.publish_message(message)


def _close_connections(all_threads: Barrier) -> None:
    """Of this thread. The barrier sees to it that each thread of a pool runs it once."""
    with suppress(BrokenBarrierError):
        all_threads.wait(1.0)
    connections.close_all()


def _with_connection(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run it; after an error of the connection, begin the next call with a new one."""
    connection = store.database()
    if connection.connection is None:
        store.open_for_batches()
    try:
        return function(*args, **kwargs)
    except Error:
        for used in connections.all(initialized_only=True):
            if not used.in_atomic_block:
                used.close()
        raise

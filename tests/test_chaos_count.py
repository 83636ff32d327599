"""The chaos suite's own instruments: the count sees each kind of failure, the proxy breaks links as it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from chaos.count import Applied, Count, Row, Seen, count
from chaos.faults import FILES, load
from chaos.ledger import Ledger, Pen, read
from chaos.proxy import Proxy
from chaos.result import Result

ROWS = [Row("all", seq, f"k{seq}", seq) for seq in (1, 2, 3)]
LOG = [Applied("e", "all", seq, f"k{seq}", 0.01) for seq in (1, 2, 3)]
LEDGER = Ledger(intents={"k1", "k2", "k3"}, acknowledged={"k1", "k2", "k3"})
CLIENT = Seen("7", LOG, [("e", {"all": 0}, 0)], {"all": 3}, "e", 3)


def counted(
    *, rows: list[Row] = ROWS, client: Seen = CLIENT, ledger: Ledger = LEDGER, unread: int = 3, **more: bool
) -> Count:
    return count(ledger, rows, [client], {"7": unread}, **more)


def test_nothing_wrong() -> None:
    """What is right counts as right."""
    assert counted() == Count(sent=3, committed=3, applied=3)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_an_entry_that_a_client_missed(missing: int) -> None:
    """Lost, wherever it was."""
    client = replace(CLIENT, log=[one for n, one in enumerate(LOG) if n != missing])
    assert counted(client=client).lost == 1


def test_acknowledged_and_not_stored() -> None:
    """Lost, though no client could know."""
    found = counted(rows=ROWS[:2], client=replace(CLIENT, log=LOG[:2], cursor={"all": 2}))
    assert (found.unstored, found.missed, found.lost) == (1, 0, 1)


def test_what_failed_may_be_stored_or_not() -> None:
    """An error leaves it open; what is stored must be applied all the same."""
    ledger = Ledger(intents={"k1", "k2", "k3"}, acknowledged={"k1", "k2"}, failed={"k3": "OperationalError"})
    assert counted(ledger=ledger).lost == 0
    assert counted(ledger=ledger, client=replace(CLIENT, log=LOG[:2])).lost == 1


def test_applied_twice() -> None:
    """Doubled: the same entry, or the same publish under another number."""
    assert counted(client=replace(CLIENT, log=[*LOG, LOG[2]])).doubled == 1
    assert (
        counted(
            rows=[*ROWS, Row("all", 4, "k3", 4)], client=replace(CLIENT, log=[*LOG, replace(LOG[2], seq=4)])
        ).doubled
        == 1
    )
    assert (
        counted(
            rows=[*ROWS, Row("all", 4, "k3", 3)], client=replace(CLIENT, log=[*LOG, replace(LOG[2], seq=4)])
        ).doubled
        == 1
    )


def test_phantoms() -> None:
    """Rolled back, never published, or not what the database holds."""
    rolled_back = Ledger(intents=LEDGER.intents, acknowledged={"k1", "k2"}, rolled_back={"k3"})
    assert counted(ledger=rolled_back).phantom == 2, "in the database, and at the client"
    assert counted(ledger=Ledger(intents={"k1", "k2"})).phantom == 1
    assert counted(client=replace(CLIENT, log=[*LOG[:2], replace(LOG[2], key="x")])).phantom == 1
    assert counted(client=replace(CLIENT, log=[*LOG, replace(LOG[2], seq=4, key="k4")])).phantom == 1


def test_order() -> None:
    """Backwards, over a hole, or a hole in the database."""
    assert counted(client=replace(CLIENT, log=[LOG[0], LOG[2], LOG[1]])).disorder > 0
    assert counted(client=replace(CLIENT, log=[LOG[0], LOG[2]])).disorder == 1
    assert counted(rows=[ROWS[0], ROWS[2]], client=replace(CLIENT, log=[LOG[0], LOG[2]])).disorder == 2


def test_drift() -> None:
    """The badge is another number than the database's, or there is none."""
    assert counted(unread=2).drift == 1
    assert counted(client=replace(CLIENT, badge=None)).drift == 1


def test_a_reset_stands_for_what_it_jumped_over_only_where_it_may() -> None:
    """Where no reset is due, one that comes has lost what it jumped over."""
    client = replace(CLIENT, log=[LOG[0]], resets=[("e", {"all": 0}, 0), ("e", {"all": 3}, 1)])
    assert counted(client=client).lost == 2
    assert counted(client=client, resets_allowed=True).lost == 0


def test_what_was_taken_back_before_it_came_is_no_phantom() -> None:
    """It comes without content."""
    assert counted(client=replace(CLIENT, log=[*LOG[:2], replace(LOG[2], key="")])).phantom == 0


def test_a_ledger_survives_a_crash(tmp_path: Path) -> None:
    """A last line that was cut off counts for nothing."""
    path = tmp_path / "ledger"
    pen = Pen(path)
    pen.intent("a")
    pen.ok("a", 0.5)
    pen.intent("b")
    pen.error("b", ValueError(), 0.1)
    pen.intent("c")
    path.write_bytes(path.read_bytes() + b'["ok", "c"')
    found = read([path])
    assert found.intents == {"a", "b", "c"}
    assert (found.acknowledged, found.failed, found.took) == ({"a"}, {"b": "ValueError"}, [0.5])


def test_results() -> None:
    """Ours has to have nothing wrong, a control has to fail in the way it should; a line of JSON is read back."""
    ours = Result("F1", "livebell", lost=1)
    assert (ours.as_it_should, ours.wrong) == (False, ["lost 1"])
    assert Result("F1", "x", control=True, expects=["lost"], lost=1).as_it_should
    assert not Result("F1", "x", control=True, expects=["lost"], drift=1).as_it_should
    slow = Result("F1", "livebell")
    slow.limit("p99 ms", 6, 5)
    slow.limit("kills", 1, 2, least=True)
    assert slow.wrong == ["p99 ms 6 > 5", "kills 1 < 2"]
    assert Result.parse(slow.line()) == slow


def test_every_fault_has_a_control() -> None:
    """And a run of ours."""
    for name in FILES:
        fault = load(name)
        assert fault.name == name
        assert any(run.control for run in fault.runs), name
        assert any(not run.control for run in fault.runs), name


# The proxy.


@asynccontextmanager
async def echo() -> AsyncIterator[Proxy]:
    """A server that says everything back, behind a proxy."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, Proxy(server.sockets[0].getsockname()[1]) as proxy:
        yield proxy
        while CALLERS:
            CALLERS.pop().writer.close()


CALLERS: list[Caller] = []


class Caller:
    """A client of the echo, which ends it."""

    @classmethod
    async def to(cls, proxy: Proxy) -> Caller:
        caller = cls()
        CALLERS.append(caller)
        caller.reader, caller.writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        return caller

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, text: bytes, seconds: float = 5) -> bytes:
        """What comes back; ``TimeoutError`` if it doesn't."""
        self.writer.write(text)
        async with asyncio.timeout(seconds):
            return await self.reader.readexactly(len(text))


async def test_a_link_that_is_well() -> None:
    """Passes everything."""
    async with echo() as proxy:
        assert await (await Caller.to(proxy)).ask(b"x" * 300_000) == b"x" * 300_000


async def test_latency_and_drip() -> None:
    """Each piece waits; so many bytes a second."""
    async with echo() as proxy:
        caller, loop = await Caller.to(proxy), asyncio.get_running_loop()
        proxy.delay, began = 0.1, loop.time()
        await caller.ask(b"a")
        assert loop.time() - began >= 0.2, "there and back"
        proxy.delay, proxy.rate, began = 0.0, 1000, loop.time()
        await caller.ask(b"b" * 300)
        assert loop.time() - began >= 0.3


@pytest.mark.parametrize("directions", [{"up", "down"}, {"up"}, {"down"}])
async def test_black_hole_and_half_open(directions: set[str]) -> None:
    """Nothing comes, the connection stays, another is accepted; healed, what has lost bytes is reset."""
    async with echo() as proxy:
        caller = await Caller.to(proxy)
        await caller.ask(b"a")
        proxy.hole(directions)
        for one in (caller, await Caller.to(proxy)):
            with pytest.raises(TimeoutError):
                await one.ask(b"b", 0.2)
        proxy.heal()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await caller.ask(b"c")
        assert await (await Caller.to(proxy)).ask(b"d") == b"d"


async def test_frozen() -> None:
    """Nothing moves; then everything comes."""
    async with echo() as proxy:
        caller = await Caller.to(proxy)
        proxy.freeze()
        with pytest.raises(TimeoutError):
            await caller.ask(b"abc", 0.2)
        proxy.thaw()
        assert await caller.reader.readexactly(3) == b"abc"


async def test_cut_reset_refused() -> None:
    """The end in good order, without a word, and at the door."""
    async with echo() as proxy:
        cut, reset = await Caller.to(proxy), await Caller.to(proxy)
        await cut.ask(b"a")
        proxy.cut()
        assert await cut.reader.read(1) == b""
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reset.ask(b"b")
        late = await Caller.to(proxy)
        await late.ask(b"c")
        proxy.reset()
        with pytest.raises(ConnectionError):
            await late.reader.readexactly(1)
        proxy.refuse()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await (await Caller.to(proxy)).ask(b"d")

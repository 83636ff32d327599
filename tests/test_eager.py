"""``transports.eager``: at once if possible, as a task if not, and never at the cost of the task that asks."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from livebell.transports import eager


@pytest.fixture(params=["by hand", "by task"])
def start(request: pytest.FixtureRequest) -> Any:
    """Both ways; 3.12 has its own."""
    if request.param == "by hand":
        return eager._start_by_hand
    return eager.start


async def finish(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        await task


async def test_what_never_waits_is_done_at_once() -> None:
    """No task is made."""
    done: list[int] = []

    async def work() -> None:
        done.append(1)

    assert eager._start_by_hand(work()) is None
    assert done == [1]


async def test_what_waits_goes_on_as_a_task(start: Any) -> None:
    """Through several waits, with values and exceptions handed through."""
    event, seen = asyncio.Event(), []

    async def work() -> None:
        await event.wait()
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            seen.append("timeout")

    task = start(work())
    event.set()
    await finish(task)
    assert seen == ["timeout"]


async def test_a_cancelled_rest_is_cancelled(start: Any) -> None:
    """The coroutine sees it, and may clean up."""
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cleaned up")

    task = start(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cleaned up"]


async def test_what_it_raises_is_raised(start: Any) -> None:
    """At once, or by the task."""

    async def work() -> None:
        raise OSError("gone")

    async def later() -> None:
        await asyncio.sleep(0)
        raise OSError("gone")

    for one in (work, later):
        with pytest.raises(OSError, match="gone"):
            await finish(start(one()))


async def test_a_timeout_inside_hits_only_the_work() -> None:
    """A foreign server's ``send`` with a timeout of its own does not cancel the hub's task."""

    async def send() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()

    async def hub() -> str:
        task = eager.start(send())
        with pytest.raises(TimeoutError):
            await finish(task)
        await asyncio.sleep(0.02)
        return "alive"

    assert await asyncio.create_task(hub()) == "alive"


async def test_only_known_servers_are_run_by_hand() -> None:
    """uvicorn's send is; anybody else's is not."""
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    async def foreign() -> None: ...

    known: Coroutine[Any, Any, None] = WebSocketsSansIOProtocol.send(None, {})  # type: ignore[arg-type, typeddict-item]
    unknown = foreign()
    assert eager._suits(known)
    assert not eager._suits(unknown)
    known.close()
    unknown.close()

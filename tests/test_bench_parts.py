"""The small parts of the benchmarks: publishers, the processor's time, memory, the progress bar."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import cores, progress
from peers.marker import SIZE, text_of
from peers.peer import ROOT, Published, Publisher
from peers.publisher import carry_out


def order(**changed: Any) -> dict[str, Any]:
    return {"text": "", "number": 6, "to": ["all"], "every": 0, "first": 1, **changed}


def test_a_publisher_numbers_its_messages() -> None:
    """From the first on, to each in turn, 200 bytes each."""
    said: list[tuple[str, str]] = []
    carry_out(order(to=["1", "2"], first=41), lambda to, text: said.append((to, text)))
    assert [to for to, _ in said] == ["1", "2"] * 3
    assert [int(text[2:12]) for _, text in said] == [41, 42, 43, 44, 45, 46]
    assert {len(text.encode()) for _, text in said} == {SIZE}


def test_a_publisher_goes_on_after_a_failure_and_says_so() -> None:
    """A figure of publishes that all failed would look splendid."""

    def publish(to: str, text: str) -> None:
        raise OSError("no broker")

    answer = carry_out(order(), publish)
    assert (answer["errors"], answer["error"]) == (6, "OSError('no broker')")


def test_a_publisher_keeps_its_pace() -> None:
    """Also after a publish that took too long: it makes up for it."""
    at: list[float] = []

    def publish(to: str, text: str) -> None:
        at.append(time.perf_counter())
        if len(at) == 2:
            time.sleep(0.05)

    carry_out(order(every=0.02), publish)
    assert at[-1] - at[0] == pytest.approx(0.1, abs=0.02)


def test_a_publisher_is_a_process_of_its_own() -> None:
    """Orders and answers through its pipes; the time is from before the first to after the last."""
    program = "from peers.publisher import serve; import time; serve(lambda to, text: time.sleep(0.01))"
    with Publisher([sys.executable, "-c", program], dict(os.environ, PYTHONPATH=str(ROOT))) as publisher:
        before = time.time_ns()
        published = publisher.publish(number=5)
        assert publisher.pid != os.getpid()
    assert isinstance(published, Published)
    assert (published.number, published.errors) == (5, 0)
    assert published.seconds >= 0.05
    assert before <= published.began < published.ended <= time.time_ns()


def test_the_marker_carries_the_time_of_the_call() -> None:
    """To the nanosecond, where the load client looks for it."""
    before = time.time_ns()
    text = text_of(7)
    assert before <= int(text[13:32]) <= time.time_ns()
    assert (text[:2], text[12], text[32]) == ("@@", ":", ";")


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[str]]:
    """A process with a thread and a child that burn 0.2 s each and take 30 MB, then say so and wait."""
    burn = "end = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n"
    child = f"import time\n{burn}held = b'x' * 30_000_000\nprint('done', flush=True)\ntime.sleep(30)"
    program = f"""
import subprocess, sys, threading, time
child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE)
def work():
    end = time.thread_time() + 0.2
    while time.thread_time() < end: pass
    time.sleep(30)
threading.Thread(target=work, daemon=True).start()
child.stdout.readline()
time.sleep(0.3)
print("done", flush=True)
sys.stdin.read()
child.kill()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.communicate("")


def test_time_and_memory_of_all_threads_and_children(busy: subprocess.Popen[str]) -> None:
    """0.4 s of the processor, 30 MB; while they wait, nothing is added."""
    used = cores.cpu_seconds(busy.pid)
    assert 0.4 <= used < 1.5
    time.sleep(0.2)
    assert cores.cpu_seconds(busy.pid) - used < 0.02
    assert cores.memory(busy.pid) > 30_000_000


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_the_server_has_a_core_to_itself() -> None:
    """What is started within the block; and we are back on ours after it."""
    before = os.sched_getaffinity(0)
    where = [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"]
    try:
        cores.stay_off()
        with cores.on_server_core():
            server = subprocess.run(where, capture_output=True, text=True, check=True).stdout
        rest = subprocess.run(where, capture_output=True, text=True, check=True).stdout
    finally:
        os.sched_setaffinity(0, before)
    assert (server.strip(), rest.strip()) == (str(cores.SERVER), str(cores.REST))
    assert not cores.SERVER & cores.REST


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_and_off_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar that overwrites itself; in a file one line for each step, without control characters."""
    for stream, controls in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        bar = progress.Progress(2)
        bar.step("first")
        bar.step("second")
        bar.end()
        assert ("\033[K" in stream.getvalue()) is controls
        assert "second" in stream.getvalue()
        assert stream.getvalue().count("\n") == (0 if controls else 2)

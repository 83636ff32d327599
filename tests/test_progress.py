"""The bar of long work."""

from __future__ import annotations

from io import StringIO

import pytest

from livebell.progress import Progress


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_it_counts_and_shows_how_far() -> None:
    """A bar, the numbers, and what is left."""
    bar = Progress("pruning", total=1000, unit="entries", out=Terminal())
    bar.set(250)
    assert bar.text.startswith("pruning  [######..................] 250 of 1,000 entries  0 s")


def test_without_a_total_it_only_counts() -> None:
    """Nobody knows how much there is."""
    bar = Progress("looking", out=Terminal())
    bar.add(3)
    assert bar.text == "looking  3  0 s"


@pytest.mark.parametrize(("total", "done"), [(0, 0), (10, 10), (10, 25)])
def test_the_end_is_a_full_bar(total: int, done: int) -> None:
    """Also when there was nothing to do, or more than was thought."""
    bar = Progress("x", total=total, out=Terminal())
    bar.set(done)
    assert "[########################]" in bar.text


def test_it_draws_the_last_state_and_leaves_the_line() -> None:
    """However fast the work was; also when it fails."""
    out = Terminal()
    with pytest.raises(RuntimeError), Progress("x", total=3, out=out) as bar:
        for n in bar.of(range(3)):
            if n == 2:
                raise RuntimeError
    assert out.getvalue().split("\r")[-1].startswith("x  [################........] 2 of 3")
    assert out.getvalue().endswith("\n")


def test_what_is_no_terminal_gets_nothing() -> None:
    """A cron job's mail stays empty."""
    out = StringIO()
    with Progress("x", total=3, out=out) as bar:
        bar.add(3)
    assert out.getvalue() == ""


def test_it_draws_seldom() -> None:
    """A million steps don't write a million lines."""
    out = Terminal()
    with Progress("x", total=100_000, out=out) as bar:
        for _ in bar.of(range(100_000)):
            pass
    assert out.getvalue().count("\r") < 100

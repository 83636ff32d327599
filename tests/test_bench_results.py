"""From samples to verdicts and tables: what would be easy to get wrong in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import amounts
from benchmarks.plan import plan, questions
from benchmarks.record import Record
from benchmarks.tables import for_readme, table, write_readme
from benchmarks.verdicts import Bound, Verdict, number, verdicts


def record(**values: list[float]) -> Record:
    """One question ``latency`` of Livebell, with these values in several rounds."""
    made = Record("2026-01-01", {"processor": "abacus"}, rounds=3)
    for row in zip(*values.values(), strict=True):
        made.add("latency", "Livebell", dict(zip(values, row, strict=True)))
    return made


def test_median_and_spread() -> None:
    """Of all rounds of one contender, and of nobody else's."""
    made = record(p50=[5.0, 1.0, 2.0])
    made.add("latency", "Nchan", {"p50": 100.0})
    figure = made.figure("latency", "Livebell", "p50")
    assert figure is not None
    assert (figure.median, figure.low, figure.high) == (2.0, 1.0, 5.0)
    assert made.figure("latency", "Livebell", "p99") is None


def test_what_was_not_measured_is_not_reached() -> None:
    """Nor failed: it is said."""
    assert {verdict.word for verdict in verdicts(Record())} == {"not measured"}


@pytest.mark.parametrize(
    ("value", "at_least", "reached"), [(5, True, True), (4.9, True, False), (5.1, False, False), (5, False, True)]
)
def test_a_bound(value: float, at_least: bool, reached: bool) -> None:
    """The limit itself still counts."""
    assert Bound("", value, 5, at_least=at_least).reached is reached


def test_one_failed_bound_decides() -> None:
    """Also beside one that was not measured."""
    good, bad, unknown = Bound("", 1, 2), Bound("", 3, 2), Bound("", None, 2)
    assert [Verdict(1, "", several).reached for several in ((good,), (good, unknown), (bad, unknown))] == [
        True,
        None,
        False,
    ]


def test_a_limit_that_is_somebody_elses_figure_of_the_same_run() -> None:
    """1.25 times and 1.5 times Nchan's."""
    for p50, p99, reached in ((12.5, 60.0, True), (12.6, 60.0, False), (12.5, 61.0, False)):
        made = record(p50=[p50], p99=[p99], lost=[0], doubled=[0])
        made.add("latency", "Nchan", {"p50": 10.0, "p99": 40.0})
        assert verdicts(made)[1].reached is reached


def test_one_lost_message_in_any_round_is_one_too_many() -> None:
    """The median would hide it."""
    made = record(p50=[1.0] * 3, p99=[1.0] * 3, lost=[0, 0, 1], doubled=[0, 0, 0])
    made.add("latency", "Nchan", {"p50": 10.0, "p99": 40.0})
    assert verdicts(made)[1].reached is False


def test_a_record_comes_back_from_its_file(tmp_path: Path) -> None:
    """Tables can be made again later."""
    made = record(p50=[1.0, 2.0])
    made.save(tmp_path / "results.json")
    assert Record.load(tmp_path / "results.json") == made


def test_the_table_has_a_row_for_each_place_on_a_curve() -> None:
    """And shows the spread."""
    made = Record()
    for at, value in ((100, 1.0), (100, 3.0), (1000, 5.0)):
        made.add("growth", "Livebell", {"p99": value}, at)
    rows = list(table(made, "growth"))
    assert rows[2:] == ["| Livebell | 100 | 2 (1–3) |", "| Livebell | 1,000 | 5 |"]


def test_the_readme_gets_at_most_eight_lines(tmp_path: Path) -> None:
    """Between the marks, and nothing else changes."""
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- benchmarks -->\nold\n<!-- /benchmarks -->\nafter\n")
    made = record(p50=[1.0], p99=[2.0], cpu=[3.0])
    write_readme(made, readme)
    write_readme(made, readme)
    text = readme.read_text()
    assert len(for_readme(made)) <= 8
    assert "old" not in text
    assert text.startswith("before\n<!-- benchmarks -->\n| 1,000 connections |")
    assert text.endswith("<!-- /benchmarks -->\nafter\n")
    assert "2026-01-01, abacus" in text


def test_numbers_are_short() -> None:
    """As many digits as mean something."""
    assert [number(value) for value in (None, 0, 0.666, 12.34, 123.4, 600_000)] == [
        "–",
        "0",
        "0.67",
        "12.3",
        "123",
        "600,000",
    ]


def test_every_question_is_in_a_quick_run_too() -> None:
    """It may do less of everything, but leaves nothing out except the curves."""
    everything = plan(amounts.QUICK, frozenset())
    assert frozenset().union(*(step.questions for step in everything)) == questions() - {"growth"}
    assert {step.contender for step in everything} >= {"Livebell", "Nchan", "Socket.IO", "django-notifications-hq"}

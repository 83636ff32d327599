"""``SECURITY.md`` names a test for every threat; each of them is there, and none of these tests goes unnamed."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TEXT = (ROOT / "SECURITY.md").read_text()
ROWS = [line for line in TEXT.splitlines() if re.match(r"\| T\d+ ", line)]
NAMED = re.findall(r"`(\w+(?:/\w+)?\.py)::(\w+)`", TEXT)


def names_of(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_every_threat_has_a_row() -> None:
    """T1 to T30, in order."""
    assert [int(re.findall(r"\d+", row)[0]) for row in ROWS] == list(range(1, 31))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_every_row_names_its_defence_and_a_test(row: str) -> None:
    """Threat, defence, test."""
    number, threat, defence, proof = (cell.strip() for cell in row.strip("|").split(" | "))
    assert min(len(threat), len(defence)) > 10
    assert re.search(r"`(\w+/)?\w+\.py::\w+`", proof), f"{number.strip('| ')} names no test"


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)), ids=lambda part: part)
def test_every_named_test_exists(file: str, name: str) -> None:
    """By its exact id, below ``tests/``."""
    assert name in names_of(ROOT / "tests" / file)


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "security").glob("test_*.py")), ids=lambda path: path.stem)
def test_every_family_is_named(path: Path) -> None:
    """A file of security tests that no threat needs is one that nobody looks at."""
    if path.name != Path(__file__).name:
        assert any(file == f"security/{path.name}" for file, _ in NAMED)

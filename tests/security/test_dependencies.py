"""What we ask for excludes what is known to be unsafe, and the audit says what it knows, and what it doesn't (T27)."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from scripts import check

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

UNSAFE = {
    "CVE-2025-14550": ("django", ["5.2", "5.2.10", "6.0", "6.0.1"]),
    "CVE-2026-3902": ("django", ["5.2.12", "6.0.3"]),
    "CVE-2026-33034": ("django", ["5.2.12", "6.0.3"]),
    "CVE-2026-5766": ("django", ["5.2.13", "6.0.4"]),
    "CVE-2020-35681": ("channels", ["3.0.0", "3.0.2"]),
    "CVE-2026-44545": ("daphne", ["4.2.1", "4.0.0"]),
    "CVE-2026-44546": ("daphne", ["4.2.0", "4.2.1"]),
}
"""Each with versions that have it. daphne isn't asked for by the package: ``check_daphne`` warns of it (W003)."""


def asked() -> dict[str, Requirement]:
    """What the package asks for, its extras included."""
    extras = [text for texts in PROJECT["optional-dependencies"].values() for text in texts]
    return {one.name.lower(): one for one in map(Requirement, [*PROJECT["dependencies"], *extras])}


def pinned() -> dict[str, str]:
    """What the tests and the demo install."""
    lines = [line for path in (ROOT / "requirements").glob("*.txt") for line in path.read_text().splitlines()]
    found = [re.match(r"([A-Za-z0-9._-]+)(?:\[\w+\])?==([\w.]+)", line) for line in lines]
    return {one[1].lower().replace("_", "-"): one[2] for one in found if one}


@pytest.mark.parametrize("name", UNSAFE)
def test_known_holes_are_excluded(name: str) -> None:
    """No version that has it satisfies what we ask for, and none of them is pinned here."""
    package, versions = UNSAFE[name]
    if package in asked():
        assert not [version for version in versions if asked()[package].specifier.contains(version)]
        assert asked()[package].specifier.contains(pinned()[package])
    assert pinned()[package] not in versions
    assert Version(pinned()[package]) > max(map(Version, versions[:1]))


def test_every_pin_is_exact() -> None:
    """So that what was audited is what is installed."""
    for path in (ROOT / "requirements").glob("*.txt"):
        for line in path.read_text().splitlines():
            wanted = line.partition("#")[0].strip()
            assert not wanted or wanted.startswith("-r ") or "==" in wanted, f"{path.name}: {line}"


def answer(monkeypatch: pytest.MonkeyPatch, *packages: dict[str, Any]) -> check.Audit:
    """The audit, when the service answers this."""
    monkeypatch.setattr(check, "ask", lambda path: packages)
    monkeypatch.setattr(check, "REQUIREMENTS", ("requirements/dev.txt",))
    return check.audit()


WELL = {"name": "msgspec", "version": "1", "vulns": []}
HOLE = {"name": "django", "version": "5.2.1", "vulns": [{"id": "CVE-0", "fix_versions": ["5.2.2"]}]}
SKIPPED = {"name": "django", "version": "5.2.1", "skip_reason": "not found"}


def test_an_advisory_fails_the_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Found is failed, and it says where it is mended."""
    assert check.report(answer(monkeypatch, WELL, HOLE), required=False)
    assert "django 5.2.1: CVE-0, mended in 5.2.2" in capsys.readouterr().out


@pytest.mark.parametrize("required", [False, True])
def test_what_was_not_audited_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], required: bool
) -> None:
    """A package that nobody knows anything about is not a package without holes."""
    assert check.report(answer(monkeypatch, WELL, SKIPPED), required=required) is required
    assert "NOT AUDITED" in capsys.readouterr().out
    assert not check.report(answer(monkeypatch, WELL), required=required)
    assert "NOT AUDITED" not in capsys.readouterr().out


def test_a_service_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network is no answer, and no answer is not a good one."""

    def nowhere(path: str) -> list[Any]:
        raise ValueError("Traceback\nConnectionError: nobody there")

    monkeypatch.setattr(check, "ask", nowhere)
    known = check.audit()
    assert (known.asked, known.found) == (0, [])
    assert known.unknown == [f"{path}: ConnectionError: nobody there" for path in check.REQUIREMENTS]

"""Who may import whom (``docs/architecture.md``), read from the source: arrows one way, no circles, no hidden doors."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import livebell

PACKAGE = Path(livebell.__file__).parent

ARROWS = {
    "protocol": set(),
    "connection": {"protocol"},
    "hub": {"connection", "protocol"},
    "drain": {"hub", "connection", "protocol"},
    "sigterm": set(),
    "progress": set(),
    "conf": set(),
    "models": set(),
    "store": {"models", "protocol"},
    "bus": {"conf"},
    "content": {"models"},
    "audience": {"content"},
    "api": {"store", "bus", "conf", "content", "audience", "models"},
    "catchup": {"api", "store", "protocol"},
    "sessions": set(),
    "live": {"protocol", "hub", "drain", "sigterm", "store", "bus", "api", "conf", "content", "sessions"},
    "transports": {"live", "hub", "connection", "api", "protocol", "conf"},
    "asgi": {"live", "transports", "conf"},
    "routing": {"transports", "conf"},
    "words": set(),
    "views": {"api", "catchup", "store", "conf", "content", "protocol"},
    "urls": {"views"},
    "admin": {"api", "models"},
    "checks": {"audience", "conf", "content", "models"},
    "signals": {"api", "store", "audience", "conf"},
    "templatetags": {"api", "conf", "words"},
    "management": {"api", "audience", "bus", "conf", "content", "models", "progress", "store"},
    "testing": {"api", "store", "models"},
    "apps": {"checks", "signals"},
    "__init__": {"api", "audience"},
    "migrations": set(),
}
"""Each part, and the parts it may import. A part is a module or a folder at the top of the package."""

PURE = {"protocol": {"msgspec"}, "connection": set(), "hub": set(), "drain": set()}
"""Parts that import nothing but the standard library and these."""

LAZY = {"apps.py"}
"""Where an import stands inside a function: Django's ``ready``. ``__init__`` has its door without an import statement."""


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


SOURCES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> list[tuple[str, bool]]:
    """(absolute name, inside a function) of each import of a file, those for type checkers included."""
    package = ["livebell", *path.relative_to(PACKAGE).parts[:-1]]
    tree = ast.parse(path.read_text())
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [module] if module != "livebell" else [f"livebell.{alias.name}" for alias in node.names]
            found += [(name, id(node) in inside) for name in names]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_point_one_way(path: Path) -> None:
    """A part imports only the parts it may."""
    mine = part(path)
    targets = {name.split(".")[1] for name, _ in imports(path) if name.startswith("livebell.")}
    assert targets - {mine} <= ARROWS[mine], f"{mine} may not import {sorted(targets - {mine} - ARROWS[mine])}"


def test_there_are_no_circles() -> None:
    """The arrows can be put in one order."""
    left = {name: set(targets) for name, targets in ARROWS.items()}
    while left:
        free = {name for name, targets in left.items() if not targets & left.keys()}
        assert free, f"a circle among {sorted(left)}"
        left = {name: targets for name, targets in left.items() if name not in free}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_stand_at_the_top(path: Path) -> None:
    """No import inside a function, but where Django asks for it."""
    hidden = [name for name, inside in imports(path) if inside]
    assert not hidden or str(path.relative_to(PACKAGE)) in LAZY


@pytest.mark.parametrize("name", PURE)
def test_the_core_is_pure(name: str) -> None:
    """``protocol`` and ``hub`` know neither Django nor Channels nor Redis."""
    outside = {module.split(".")[0] for module, _ in imports(PACKAGE / f"{name}.py")} - {"livebell"}
    import sys

    assert outside - set(sys.stdlib_module_names) <= PURE[name]


def test_only_the_store_speaks_sql() -> None:
    """No cursor and no raw SQL outside ``store``."""
    for path in SOURCES:
        if part(path) not in ("store", "migrations"):
            text = path.read_text()
            assert ".cursor(" not in text, path
            assert "SELECT " not in text, path


def test_every_part_is_in_the_table() -> None:
    """The table above is complete."""
    assert {part(path) for path in SOURCES} == set(ARROWS)


def test_publishers_load_nothing_live() -> None:
    """Importing what a WSGI process needs brings in neither hub nor live nor transports."""
    import os
    import subprocess
    import sys

    code = (
        "import django; django.setup()\n"
        "import sys, livebell.api, livebell.urls, livebell.views, livebell.admin\n"
        "from livebell import notify\n"
        "print(sorted(m for m in sys.modules if m.startswith(('livebell.hub', 'livebell.live', 'livebell.transports'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr

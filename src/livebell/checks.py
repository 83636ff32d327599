"""System checks. Each has an id and a hint that is the fix."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections, router
from django.utils.module_loading import import_string

from .conf import BUSES, NAMES, conf, given
from .models import Notification

NUMBERS = {
    "DRAIN_SECONDS": (0, 3600, "seconds from 0 to 3600"),
    "RETAIN_DAYS": (1e-5, 36_525, "days above 0, or None to keep everything"),
    "RETAIN_PER_STREAM": (1, 10**12, "a whole number from 1, or None to keep everything"),
}
"""Settings that are numbers, between what and what, and how to say so."""

NEEDS = {"redis": ("redis", "django-livebell[redis]")}


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
    return unknown or [*_numbers(), *_bus(), *_layer(), *_streams(), *_admin()]


def _numbers() -> list[CheckMessage]:
    return [
        Error(f"LIVEBELL[{name!r}] is {value!r}.", hint=f"Give {meant}.", id="livebell.E007")
        for name, (low, high, meant) in NUMBERS.items()
        for value in [getattr(conf(), name)]
        if not (value is None and "None" in meant) and not _between(low, value, high)
    ]


def _between(low: float, value: object, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


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


@register(Tags.database, deploy=True)
def check_sqlite(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """SQLite is set up for several writers."""
    connection = connections[router.db_for_write(Notification)]
    if connection.vendor != "sqlite" or getattr(connection, "transaction_mode", None) == "IMMEDIATE":
        return []
    return [
        checks.Warning(
            "SQLite begins transactions DEFERRED, so that a view that reads before it writes can fail with "
            "'database is locked'.",
            hint="DATABASES OPTIONS: {'transaction_mode': 'IMMEDIATE', 'init_command': 'PRAGMA journal_mode=WAL;'}",
            id="livebell.W001",
        )
    ]

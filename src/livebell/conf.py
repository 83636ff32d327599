"""The one settings dict, ``LIVEBELL``: its defaults, read late, forgotten when a test changes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.module_loading import import_string

BUSES = {
    "database": "livebell.bus.database.DatabaseBus",
    "channel-layer": "livebell.bus.channel_layer.ChannelLayerBus",
    "redis": "livebell.bus.redis.RedisBus",
}


@dataclass(frozen=True, kw_only=True)
class Conf:
    """Every setting with its default. ``docs/settings.md`` says more of each."""

    BUS: str = "database"
    """``database``, ``channel-layer``, ``redis``, or the dotted path of a class with the contract of ``bus.base.Bus``."""
    REDIS_URL: str = "redis://127.0.0.1:6379/0"
    """Where the ``redis`` bus connects."""
    CHANNEL_LAYER: str = "default"
    """Alias in ``CHANNEL_LAYERS``: of the ``channel-layer`` bus, and of the layer that scripts publish through."""
    LAYER_PUBLISH: bool = True
    """Whether ``group_send("livebell", {"type": "livebell.publish", ...})`` is stored. Who can write to the layer can
    then notify anybody."""
    PREFIX: str = "livebell"
    """First part of every name on the bus; two sites on one Redis need two."""
    SOCKET_PATH: str = "livebell/socket/"
    """Path of the WebSocket, without the leading slash."""
    SOCKET_URL: str = ""
    """Where pages find the socket if it isn't on their own host and port: ``https://live.example.com/livebell/socket/``. The
    session cookie must reach it, and the pages' origin must be in ``ORIGINS``."""
    STREAMS: str | Callable[[Any], Iterable[str]] | None = None
    """``f(user)``, or its dotted path: the topics this user may read, besides subscriptions."""
    PUBLIC: tuple[str, ...] = ()
    """Topics that anybody may read who may open a page of this site, logged in or not."""
    ORIGINS: tuple[str, ...] = ()
    """Further origins (``https://host:port``) whose pages may open a socket. The site's own always may."""
    MAX_CONNECTIONS: int = 20
    """Connections of one user; one more closes the oldest."""
    DRAIN_SECONDS: float = 10.0
    """Seconds over which clients spread their return when a live process ends; 0: they come back at once."""
    RETAIN_DAYS: float | None = None
    """Days after which ``livebell_prune`` takes a notification out of the log; None: never for its age."""
    RETAIN_PER_STREAM: int | None = None
    """Entries of one stream that ``livebell_prune`` leaves, the newest; None: all."""
    MAX_PROCESS_CONNECTIONS: int = 10_000
    """Connections of one process; one more is told to come back later."""
    MAX_ADDRESS_CONNECTIONS: int = 1_000
    """Connections from one address of which it is not known, or not yet, who they are; one more is told to come back."""
    BASE_TEMPLATE: str = "livebell/base.html"
    """Template that the list page extends; it needs the block ``content``."""

    ADMIN_BELL: bool = False
    """Whether the header of Django's admin has a bell; ``livebell`` then stands before ``django.contrib.admin``."""

    @property
    def bus_path(self) -> str:
        """Dotted path of the bus class."""
        return BUSES.get(self.BUS, self.BUS)

    @property
    def ready_path(self) -> str:
        """Path below which a live process says whether it takes in connections, without the leading slash."""
        return f"{self.SOCKET_PATH.strip('/')}/ready/"

    @property
    def topics(self) -> Callable[[Any], Iterable[str]] | None:
        """The function behind ``STREAMS``."""
        return import_string(self.STREAMS) if isinstance(self.STREAMS, str) else self.STREAMS


NAMES = frozenset(field.name for field in fields(Conf))


def given() -> Mapping[str, Any]:
    """What the project wrote, unchecked."""
    return getattr(settings, "LIVEBELL", {})


@cache
def conf() -> Conf:
    """The settings in force. Raises :class:`ImproperlyConfigured` for a name that doesn't exist."""
    unknown = sorted(set(given()) - NAMES)
    if unknown:
        raise ImproperlyConfigured(f"LIVEBELL has no setting {unknown[0]!r}. It has: {', '.join(sorted(NAMES))}.")
    several = {name: _several(name, value) for name, value in given().items() if name in ("ORIGINS", "PUBLIC")}
    return Conf(**{**given(), **several})


def _several(name: str, value: Any) -> tuple[str, ...]:
    """A text alone would be taken for its letters."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ImproperlyConfigured(f"LIVEBELL[{name!r}] must be a list of texts, not {value!r}.")
    return tuple(value)


@receiver(setting_changed)
def forget(*, setting: str, **kwargs: object) -> None:
    """Read the settings again after ``override_settings``."""
    if setting == "LIVEBELL":
        conf.cache_clear()

"""The settings: defaults, overrides, mistakes."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from livebell.bus import get_bus
from livebell.bus.base import Bus
from livebell.bus.database import DatabaseBus
from livebell.conf import BUSES, Conf, conf


class OwnBus(Bus):
    """A bus of the project's own."""

    closed = False

    def send(self, message: dict[str, Any]) -> None:
        """Nobody is told."""

    async def listen(self, listener: Any) -> None:
        """Nothing comes."""

    def close(self) -> None:
        """Remember it."""
        OwnBus.closed = True


def topics(user: Any) -> list[str]:
    return [f"order:{user.pk}"]


def test_without_settings_the_defaults_hold() -> None:
    """A project that writes no ``LIVEBELL`` gets every default."""
    with override_settings():
        from django.conf import settings

        del settings.LIVEBELL
        conf.cache_clear()
        assert conf() == Conf()
    conf.cache_clear()


def test_the_default_needs_no_other_server() -> None:
    """By default the bus is the database."""
    assert Conf().bus_path == "livebell.bus.database.DatabaseBus"


def test_an_override_is_followed_at_once_and_forgotten_after() -> None:
    """``override_settings`` works, and its end too."""
    before = conf()
    with override_settings(LIVEBELL={"SOCKET_PATH": "ws/", "MAX_CONNECTIONS": 3}):
        assert (conf().SOCKET_PATH, conf().MAX_CONNECTIONS) == ("ws/", 3)
    assert conf() == before


@override_settings(LIVEBELL={"BUSS": "redis"})
def test_an_unknown_setting_is_an_error_that_lists_the_known_ones() -> None:
    """A misspelt setting is refused, with the names that exist."""
    with pytest.raises(ImproperlyConfigured, match=r"no setting 'BUSS'.*BASE_TEMPLATE, BUS, "):
        conf()


@pytest.mark.parametrize("name", sorted(BUSES))
def test_a_short_name_stands_for_a_bus_of_ours(name: str) -> None:
    """Each short name is the path of a bus that can be made."""
    with override_settings(LIVEBELL={"BUS": name}):
        assert isinstance(get_bus(), Bus)
        assert f"{type(get_bus()).__module__}.{type(get_bus()).__name__}" == BUSES[name]


def test_a_dotted_path_is_a_bus_of_the_projects_own() -> None:
    """A project may write its own bus."""
    with override_settings(LIVEBELL={"BUS": "tests.test_conf.OwnBus"}):
        assert isinstance(get_bus(), OwnBus)
    assert isinstance(get_bus(), DatabaseBus)


def test_a_bus_that_is_replaced_is_closed() -> None:
    """What the old bus held open is given back."""
    OwnBus.closed = False
    with override_settings(LIVEBELL={"BUS": "tests.test_conf.OwnBus"}):
        get_bus()
    assert OwnBus.closed


@pytest.mark.parametrize("rule", [topics, "tests.test_conf.topics"])
def test_streams_is_a_function_or_its_path(rule: Any) -> None:
    """``STREAMS`` may be given as the function or as its dotted path."""
    with override_settings(LIVEBELL={"STREAMS": rule}):
        assert conf().topics is topics


@pytest.mark.parametrize("name", ["ORIGINS", "PUBLIC"])
@pytest.mark.parametrize("value", ["https://a.example", 5])
def test_several_are_no_text(name: str, value: Any) -> None:
    """A text in place of a list would be taken for its letters."""
    with override_settings(LIVEBELL={name: value}), pytest.raises(ImproperlyConfigured, match=name):
        conf()


def test_origins_may_be_a_list() -> None:
    """``ORIGINS`` may be a list, and the settings are hashable all the same."""
    with override_settings(LIVEBELL={"ORIGINS": ["https://a.example"]}):
        assert conf().ORIGINS == ("https://a.example",)
        assert hash(conf())

"""``manage.py check``: each mistake has an id, and a hint that is the fix."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from django.test import override_settings

from livebell import checks


def found(**livebell: Any) -> list[CheckMessage]:
    """What the checks say of these settings."""
    with override_settings(LIVEBELL=livebell):
        return [
            message for message in run_checks(include_deployment_checks=True) if str(message.id).startswith("livebell.")
        ]


def only(messages: list[CheckMessage], ident: str) -> CheckMessage:
    assert [message.id for message in messages] == [ident]
    assert messages[0].hint
    return messages[0]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"BUS": "database"},
        {"BUS": "redis"},
        {"BUS": "tests.test_conf.OwnBus"},
        {"STREAMS": "tests.test_conf.topics"},
        {"STREAMS": lambda user: []},
        {"ORIGINS": ["https://a.example"]},
    ],
    ids=str,
)
def test_right_settings_are_silent(settings: dict[str, Any]) -> None:
    """What is right is not remarked on."""
    assert found(**settings) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("DRAIN_SECONDS", value) for value in (-1, 1e9, "10", None, True, float("nan"))],
        *[("RETAIN_DAYS", value) for value in (0, -1, "90d", float("inf"))],
        *[("RETAIN_PER_STREAM", value) for value in (0, -5, "all", [])],
    ],
)
def test_a_number_that_is_none_is_e007(name: str, value: Any) -> None:
    """The name and what would do."""
    message = only(found(**{name: value}), "livebell.E007")
    assert name in message.msg


def test_numbers_at_their_limits_are_right() -> None:
    """And None, where nothing is meant."""
    assert found(DRAIN_SECONDS=0, RETAIN_DAYS=None, RETAIN_PER_STREAM=None) == []
    assert found(DRAIN_SECONDS=2.5, RETAIN_DAYS=0.5, RETAIN_PER_STREAM=1) == []


def test_an_unknown_setting_is_e001() -> None:
    """A name that doesn't exist is an error that lists those that do."""
    message = only(found(BUSS="redis"), "livebell.E001")
    assert "'BUSS'" in message.msg
    assert "BASE_TEMPLATE, BUS, CHANNEL_LAYER" in str(message.hint)


def test_every_unknown_setting_is_named() -> None:
    """Two mistakes are two messages."""
    assert [message.id for message in found(A=1, B=2)] == ["livebell.E001"] * 2


@pytest.mark.parametrize("bus", ["redsi", "", None, 5])
def test_an_unknown_bus_is_e002(bus: Any) -> None:
    """A bus that is neither a short name nor a dotted path is an error that lists the names."""
    assert "channel-layer, database, redis" in str(only(found(BUS=bus), "livebell.E002").hint)


def test_a_missing_package_is_e003(monkeypatch: pytest.MonkeyPatch) -> None:
    """The redis bus without redis installed is an error that says what to install."""
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    assert only(found(BUS="redis"), "livebell.E003").hint == "pip install 'django-livebell[redis]'"


@override_settings(CHANNEL_LAYERS={"other": {"BACKEND": "channels.layers.InMemoryChannelLayer"}})
def test_a_missing_layer_is_e004() -> None:
    """The channel-layer bus without that layer is an error; with its name it is right."""
    assert "'default'" in only(found(BUS="channel-layer"), "livebell.E004").msg
    assert found(BUS="channel-layer", CHANNEL_LAYER="other") == []


@pytest.mark.parametrize("rule", ["nowhere.topics", "tests.test_conf.nothing", "plain"])
def test_a_rule_that_cannot_be_imported_is_e005(rule: str) -> None:
    """A dotted path that leads nowhere is an error."""
    only(found(STREAMS=rule), "livebell.E005")


def test_another_database_is_e006(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables in a database that Livebell doesn't speak are an error that names the two it does."""
    monkeypatch.setattr(checks, "connections", {"default": SimpleNamespace(vendor="mysql")})
    (message,) = checks.check_database(None)
    assert "SQLite and PostgreSQL" in str(only([message], "livebell.E006").hint)


@pytest.mark.parametrize(
    ("vendor", "mode", "ids"),
    [
        ("sqlite", None, ["livebell.W001"]),
        ("sqlite", "DEFERRED", ["livebell.W001"]),
        ("sqlite", "IMMEDIATE", []),
        ("postgresql", None, []),
    ],
)
def test_a_deferred_sqlite_is_w001(
    monkeypatch: pytest.MonkeyPatch, vendor: str, mode: str | None, ids: list[str]
) -> None:
    """SQLite that isn't set up for several writers is a warning with the options that do it."""
    monkeypatch.setattr(checks, "connections", {"default": SimpleNamespace(vendor=vendor, transaction_mode=mode)})
    messages = checks.check_sqlite(None)
    assert [message.id for message in messages] == ids
    assert all("'transaction_mode': 'IMMEDIATE'" in str(message.hint) for message in messages)


@pytest.mark.parametrize("first", [True, False])
def test_the_bell_of_the_admin_needs_its_place(first: bool, settings: Any) -> None:
    """``ADMIN_BELL`` only works before the admin."""
    others = [name for name in settings.INSTALLED_APPS if name != "livebell"]
    settings.INSTALLED_APPS = ["livebell", *others] if first else [*others, "livebell"]
    messages = [message.id for message in found(ADMIN_BELL=True)]
    assert messages == [] if first else ["livebell.W002"]

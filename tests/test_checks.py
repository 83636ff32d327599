"""``manage.py check``: each mistake has an id, and a hint that is the fix."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from django.db import connections
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
        {"ORIGINS": ["https://a.example", "http://*.a.example:8000", "http://[::1]:8000", "http://localhost"]},
        {
            "PUBLIC": ["status", "order:15"],
            "MAX_CONNECTIONS": 1,
            "MAX_PROCESS_CONNECTIONS": 5,
            "MAX_ADDRESS_CONNECTIONS": 5,
        },
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
    options = {} if mode is None else {"transaction_mode": mode}
    connection = SimpleNamespace(vendor=vendor, settings_dict={"OPTIONS": options})
    monkeypatch.setattr(checks, "connections", {"default": connection})
    messages = checks.check_sqlite(None)
    assert [message.id for message in messages] == ids
    assert all("'transaction_mode': 'IMMEDIATE'" in str(message.hint) for message in messages)


def test_it_is_known_before_anything_has_connected() -> None:
    """``manage.py check --deploy`` opens no connection; a wrapper that is new knows what its settings say."""
    alias, new = "default", connections.create_connection("default")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "connections", {alias: new})
        assert checks.check_sqlite(None) == []


@pytest.mark.parametrize("first", [True, False])
def test_the_bell_of_the_admin_needs_its_place(first: bool, settings: Any) -> None:
    """``ADMIN_BELL`` only works before the admin."""
    others = [name for name in settings.INSTALLED_APPS if name != "livebell"]
    settings.INSTALLED_APPS = ["livebell", *others] if first else [*others, "livebell"]
    messages = [message.id for message in found(ADMIN_BELL=True)]
    assert messages == [] if first else ["livebell.W002"]


@pytest.mark.parametrize("name", [name for name in checks.NUMBERS if name.startswith("MAX_")])
@pytest.mark.parametrize("value", [0, -1, "20", 2.5, None, True], ids=repr)
def test_no_number_of_connections_is_e007(name: str, value: Any) -> None:
    """A limit that would fail, or let nobody in, is an error."""
    assert repr(value) in only(found(**{name: value}), "livebell.E007").msg


@pytest.mark.parametrize(
    "value",
    [
        "https://a.example", 5, None, {"https://a.example": 1}, ["a.example"], ["https://a.example/"], ["https://a.example/path"],
        ["https://"], [5], ["ftp://a.example"], ["https://a.example, https://b.example"], ["https://a*.example"], ["null"],
    ],
    ids=repr,
)  # fmt: skip
def test_no_list_of_origins_is_e012(value: Any) -> None:
    """A text in place of a list, or what is no origin, is an error before anything reads it."""
    only(found(ORIGINS=value), "livebell.E012")


@pytest.mark.parametrize(
    "value", ["status", 5, None, ["all"], ["user:1"], ["group:1"], [""], ["a b"], [5], ["livebell:x"]], ids=repr
)
def test_no_list_of_topics_is_e013(value: Any) -> None:
    """What is somebody's own can't be made public."""
    only(found(PUBLIC=value), "livebell.E013")


@pytest.mark.parametrize("origin", ["*", "https://*", "http://*:8000", "https://*.", "https://*.*", "*:8000"])
def test_an_origin_for_every_site_is_e014(origin: str) -> None:
    """In either list; a wildcard for the subdomains of one domain is none of them."""
    assert "livebell.E014" in [message.id for message in found(ORIGINS=[origin])]
    with override_settings(CSRF_TRUSTED_ORIGINS=[origin]):
        assert "CSRF_TRUSTED_ORIGINS" in only(found(), "livebell.E014").msg
    with override_settings(CSRF_TRUSTED_ORIGINS=["https://*.example.com", "https://a.example"]):
        assert found(ORIGINS=["https://*.example.com"]) == []


class Apart:
    """A router that keeps users elsewhere."""

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "elsewhere" if model._meta.app_label == "auth" else None


@override_settings(DATABASE_ROUTERS=["tests.test_checks.Apart"])
def test_users_in_another_database_are_e015() -> None:
    """Who stands on which stream is one query over both."""
    (message,) = checks.check_users(None)
    assert "'elsewhere'" in only([message], "livebell.E015").msg


@pytest.mark.parametrize(
    ("version", "ids"),
    [
        ("4.2.1", ["livebell.W003"]),
        ("4.1", ["livebell.W003"]),
        ("4.2.2", []),
        ("4.10.0", []),
        ("5.0b1", []),
        (None, []),
    ],
)
def test_an_old_daphne_is_w003(monkeypatch: pytest.MonkeyPatch, version: str | None, ids: list[str]) -> None:
    """One with known holes, if one is installed at all."""

    def known(name: str) -> str:
        if version is None:
            raise checks.metadata.PackageNotFoundError
        return version

    monkeypatch.setattr(checks.metadata, "version", known)
    assert [message.id for message in checks.check_daphne(None)] == ids

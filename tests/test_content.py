"""What a notification may say. Each refusal names its field and stores nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.test import override_settings
from django.utils.translation import gettext_lazy

from livebell import notify
from livebell.content import MAX_DATA, MAX_DEPTH, NotifyError, check_content
from livebell.models import Outbox
from tests.helpers import nothing_stored

pytestmark = pytest.mark.django_db

LIMITS = [("title", 200), ("body", 10_000), ("kind", 100), ("key", 200), ("actor", 200)]
NUL = "a\0b"
HALF = "a\ud800b"


def stored(**fields: Any) -> Outbox:
    """What is in the outbox after a notification with these fields."""
    notify("room", **{"title": "T", **fields})
    return Outbox.objects.get()


def refused(field: str, **fields: Any) -> NotifyError:
    """The error of a notification with these fields, after which nothing is stored."""
    with pytest.raises(NotifyError) as caught:
        notify("room", **{"title": "T", **fields})
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")
    assert nothing_stored()
    return caught.value


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth - 1):
        value = [value]
    return value


# Limits


@pytest.mark.parametrize("more", [-1, 0])
@pytest.mark.parametrize(("field", "limit"), LIMITS)
def test_a_text_up_to_its_limit_is_stored_whole(field: str, limit: int, more: int) -> None:
    """A text of one character less than the limit, and of exactly the limit, is stored as it is."""
    text = "ä" * (limit + more)
    assert getattr(stored(**{field: text}), field) == text


@pytest.mark.parametrize(("field", "limit"), LIMITS)
def test_a_text_above_its_limit_is_refused(field: str, limit: int) -> None:
    """One character more than the limit is refused, and the error says how many there are and how many may be."""
    error = refused(field, **{field: "ä" * (limit + 1)})
    assert str(limit + 1) in str(error)
    assert f"the limit is {limit}" in str(error)


@pytest.mark.parametrize("more", [-1, 0])
def test_a_url_up_to_its_limit_is_stored_whole(more: int) -> None:
    """A url of up to 2,000 characters is stored as it is."""
    url = "/".ljust(2000 + more, "a")
    assert stored(url=url).url == url


def test_a_url_above_its_limit_is_refused() -> None:
    """A url of 2,001 characters is refused."""
    refused("url", url="/".ljust(2001, "a"))


@pytest.mark.parametrize("more", [-1, 0])
def test_data_up_to_16_kib_is_stored_whole(more: int) -> None:
    """Data whose JSON is one byte below 16 KiB, and exactly 16 KiB, is stored as it is."""
    data = "x" * (MAX_DATA - 2 + more)
    assert len(json.dumps(data)) == MAX_DATA + more
    assert stored(data=data).data == data


def test_data_above_16_kib_is_refused() -> None:
    """Data whose JSON is one byte above 16 KiB is refused."""
    refused("data", data="x" * (MAX_DATA - 1))


def test_data_is_measured_in_bytes() -> None:
    """A character of two bytes counts twice in data."""
    assert stored(data="ä" * (MAX_DATA // 2 - 1)).data
    Outbox.objects.all().delete()
    refused("data", data="ä" * (MAX_DATA // 2))


@pytest.mark.parametrize("title", ["", " ", "\t\n", "\u00a0"])
def test_an_empty_title_is_refused(title: str) -> None:
    """A title of nothing but space is refused."""
    refused("title", title=title)


def test_an_empty_key_is_refused() -> None:
    """An empty key would make all of them one, so it is refused."""
    refused("key", key="")


@pytest.mark.parametrize("field", ["title", "body", "url", "kind", "key"])
@pytest.mark.parametrize("value", [5, b"bytes", ["T"], object()])
def test_what_is_not_text_is_refused(field: str, value: Any) -> None:
    """A number, bytes or an object where text belongs is refused, not converted."""
    refused(field, **{field: value})


def test_a_lazy_translation_is_text() -> None:
    """A lazy translation is taken for the text it stands for."""
    assert stored(title=gettext_lazy("Yes")).title == "Yes"


@pytest.mark.parametrize(("actor", "text"), [(None, ""), ("Ann", "Ann"), (UUID(int=1), str(UUID(int=1)))])
def test_an_actor_is_kept_as_text(actor: Any, text: str) -> None:
    """An actor may be any object and is stored as its text, nobody as an empty one."""
    assert stored(actor=actor).actor == text


# The url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/",
        "/builds/1/",
        "/builds/1/?tab=log&x=a:b#line-5",
        "/a:b/",
        "builds/1/",
        "./x",
        "../x",
        "?page=2",
        "#top",
        "http://example.com",
        "https://example.com:8443/a?b#c",
        "HTTPS://EXAMPLE.COM/",
        "https://[::1]:8000/",
        "https://bücher.example/ä",
        "/javascript:alert(1)",
    ],
)
def test_a_url_on_the_web_or_on_this_site_is_stored(url: str) -> None:
    """http, https, and every path of this site, absolute or relative, are allowed."""
    assert stored(url=url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "javascript:alert(1) ",
        "\u00a0javascript:alert(1)",
        "java\tscript:alert(1)",
        "java\nscript:alert(1)",
        "java\rscript:alert(1)",
        "javascript\n:alert(1)",
        "\x01javascript:alert(1)",
        "javascript://example.com/%0aalert(1)",
        "data:text/html,<script>alert(1)</script>",
        "DATA:text/html;base64,PHN2Zz4=",
        "vbscript:msgbox(1)",
        "file:///etc/passwd",
        "blob:https://example.com/1",
        "mailto:a@example.com",
        "ftp://example.com/",
        "example.com:8000/",
        "//evil.example",
        "///evil.example",
        "////evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "\\/evil.example",
        "https:\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        "http://",
        "https:///path",
        "http:evil.example",
        "http:/evil.example",
        "https://:443/",
        "https://user@/",
        "https://?x",
        "https://[::1",
        "http://[nonsense]/",
        "/path\x7f",
        "/path\x1f",
        "/path with end ",
    ],
)
def test_a_url_that_leads_elsewhere_is_refused(url: str) -> None:
    """What a browser would run, or follow to a site that isn't named, is refused, however it is disguised."""
    refused("url", url=url)


# What PostgreSQL and UTF-8 can't hold


@pytest.mark.parametrize("field", ["title", "body", "url", "kind", "actor", "key"])
@pytest.mark.parametrize("text", [NUL, HALF, "\0", "\udfff"])
def test_nul_and_half_surrogates_are_refused_in_text(field: str, text: str) -> None:
    """NUL and half of a surrogate pair are refused in every text, on every database."""
    refused(field, **{field: text})


@pytest.mark.parametrize(
    "data",
    [
        NUL,
        HALF,
        [NUL],
        [[HALF]],
        {"a": NUL},
        {"a": HALF},
        {NUL: 1},
        {HALF: 1},
        {"a": [{"b": (1, NUL)}]},
        {"a": [{"b": (1, HALF)}]},
        {"a": {"b": {NUL: 1}}},
        gettext_lazy(NUL),
        {"a": gettext_lazy(NUL)},
    ],
    ids=ascii,
)
def test_nul_and_half_surrogates_are_refused_anywhere_in_data(data: Any) -> None:
    """NUL and half of a surrogate pair are refused in data at every depth, in values and in names."""
    refused("data", data=data)


def test_other_characters_survive() -> None:
    """Emoji, right-to-left text, control characters of text and noncharacters are stored as they are."""
    text = "a\u202e🛎 \u05d0\u0301\ufffe\x01\u2028"
    row = stored(title=text, body=text + "\n", data={text: [text]})
    assert (row.title, row.body, row.data) == (text, text + "\n", {text: [text]})


# Data


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), [1, {"a": float("nan")}]])
def test_what_json_has_no_number_for_is_refused(value: Any) -> None:
    """NaN and the infinities aren't JSON and are refused."""
    refused("data", data=value)


@pytest.mark.parametrize("value", [object(), b"bytes", {1, 2}, {("a", "b"): 1}, {"a": object()}])
def test_what_json_cannot_write_is_refused(value: Any) -> None:
    """What JSON has no form for is refused."""
    refused("data", data=value)


def test_data_up_to_64_levels_is_stored() -> None:
    """Data of 64 levels is stored."""
    data = nested(MAX_DEPTH)
    assert stored(data=data).data == data


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 5_000])
def test_data_deeper_than_64_levels_is_refused(depth: int) -> None:
    """Data of one level more, and of so many that Python's own stack would end, is refused."""
    refused("data", data=nested(depth))


def test_data_that_contains_itself_is_refused() -> None:
    """Data without an end is refused."""
    data: list[Any] = []
    data.append(data)
    refused("data", data=data)


@pytest.mark.parametrize("value", [0, False, "", [], {}, 1.5, -(2**63), {"a": [1, None, True, "ü"]}])
def test_every_json_value_is_data(value: Any) -> None:
    """Every JSON value is data, the ones that Python takes for false too."""
    row = stored(data=value)
    assert row.data == value
    assert type(row.data) is type(value)


def test_data_without_a_value_is_null() -> None:
    """No data is SQL's NULL."""
    stored()
    assert Outbox.objects.filter(data__isnull=True).exists()


def test_data_is_written_as_django_writes_json() -> None:
    """Dates, decimals and UUIDs are written as Django's own encoder writes them."""
    data = {"at": datetime(2026, 1, 2, tzinfo=UTC), "sum": Decimal("1.50"), "id": UUID(int=1), 5: (1, 2)}
    assert stored(data=data).data == {
        "at": "2026-01-02T00:00:00Z",
        "sum": "1.50",
        "id": str(UUID(int=1)),
        "5": [1, 2],
    }


# Level and expiry


@pytest.mark.parametrize("level", ["info", "success", "warning", "error"])
def test_the_four_levels_are_stored(level: str) -> None:
    """info, success, warning and error are levels."""
    assert stored(level=level).level == level


@pytest.mark.parametrize("level", ["", "INFO", "debug", None, 1, ["info"]])
def test_another_level_is_refused(level: Any) -> None:
    """Any other level is refused, and the error lists the four."""
    assert "info, success, warning, error" in str(refused("level", level=level))


def test_an_aware_expiry_is_stored() -> None:
    """An aware datetime is the moment it names, whatever its zone."""
    moment = datetime(2030, 1, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    assert stored(expires=moment).expires == moment


def test_a_naive_expiry_is_refused() -> None:
    """A naive datetime is refused where Django uses time zones."""
    refused("expires", expires=datetime(2030, 1, 1))  # noqa: DTZ001


@override_settings(USE_TZ=False)
def test_without_time_zones_an_expiry_is_naive() -> None:
    """Where Django uses no time zones, a naive datetime is right and an aware one is refused."""
    moment = datetime(2030, 1, 1)  # noqa: DTZ001
    assert check_content(title="T", expires=moment)["expires"] == moment
    with pytest.raises(NotifyError, match=r"^expires: "):
        check_content(title="T", expires=datetime(2030, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("value", ["2030-01-01", 5, timedelta(days=1), datetime(2030, 1, 1, tzinfo=UTC).date()])
def test_an_expiry_that_is_no_datetime_is_refused(value: Any) -> None:
    """A text, a number, a duration and a date are no datetime."""
    refused("expires", expires=value)


@pytest.mark.parametrize(
    "moment",
    [
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=12))),
    ],
    ids=["after the last", "before the first"],
)
def test_an_expiry_outside_the_calendar_is_refused(moment: datetime) -> None:
    """A moment that has no UTC date is refused, because no database can hold it."""
    refused("expires", expires=moment)


def test_the_first_wrong_field_is_named() -> None:
    """Of several wrong fields the error names one."""
    refused("title", title="", body=5, level="loud")


def test_the_error_is_a_value_error() -> None:
    """Code that knows nothing of Livebell may catch ``ValueError``."""
    assert isinstance(refused("title", title=""), ValueError)

"""What a notification may say: checked at once, before anything is stored."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from .models import Content, Level

MAX_BODY = 10_000
"""Characters."""
MAX_DATA = 16 * 1024
"""Bytes of ``data`` as JSON."""
MAX_DEPTH = 64
"""Lists and dicts inside each other in ``data``."""

_LEVELS = tuple(Level.values)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class NotifyError(ValueError):
    """A notification that can't be sent as it stands. ``field`` names what is wrong; the text says how to mend it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


def check_content(
    *,
    title: Any,
    body: Any = "",
    url: Any = "",
    level: Any = "info",
    kind: Any = "",
    data: Any = None,
    actor: Any = None,
    key: Any = None,
    expires: Any = None,
) -> dict[str, Any]:
    """The columns of a notification. Raises :class:`NotifyError` that names the first field that is wrong."""
    return {
        "title": _title(title),
        "body": _text("body", body, MAX_BODY),
        "url": _url(url),
        "level": _level(level),
        "kind": _text("kind", kind, _length("kind")),
        "data": _data(data),
        "actor": "" if actor is None else _text("actor", str(actor), _length("actor")),
        "key": None if key is None else _key(key),
        "expires": None if expires is None else _expires(expires),
    }


def _length(field: str) -> int:
    length: int = Content._meta.get_field(field).max_length  # type: ignore[union-attr, assignment]  # all are CharFields
    return length


def _text(field: str, value: Any, limit: int) -> str:
    text = str(value) if hasattr(value, "_proxy____cast") else value  # a lazy translation is text in disguise
    if not isinstance(text, str):
        raise NotifyError(field, f"must be text, not {type(value).__name__}")
    if "\0" in text:
        raise NotifyError(field, "contains NUL, which PostgreSQL can't store; remove it")
    if _SURROGATE.search(text):
        raise NotifyError(field, "contains half of a surrogate pair, which isn't Unicode text; decode it properly")
    if len(text) > limit:
        raise NotifyError(field, f"has {len(text)} characters; the limit is {limit}")
    return text


def _title(value: Any) -> str:
    title = _text("title", value, _length("title"))
    if not title.strip():
        raise NotifyError("title", "is empty; say in a few words what happened")
    return title


def _key(value: Any) -> str:
    key = _text("key", value, _length("key"))
    if not key:
        raise NotifyError("key", "is empty; leave it out, or give each event its own")
    return key


def _level(value: Any) -> str:
    if value not in _LEVELS:
        raise NotifyError("level", f"{value!r} is none of {', '.join(_LEVELS)}")
    return str(value)


def is_link(url: str) -> bool:
    """Whether this may be the address of a link. Asked again where one is shown: a row may have been written by hand."""
    try:
        return bool(_url(url))
    except NotifyError:
        return False


def _url(value: Any) -> str:
    url = _text("url", value, _length("url"))
    if _CONTROL.search(url) or "\\" in url or url != url.strip():
        raise NotifyError("url", "contains a control character, a backslash or outer space; percent-encode it")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise NotifyError("url", f"can't be read: {error}") from error
    same_site = not parts.scheme and not parts.netloc and not url.startswith("//")
    if same_site or (parts.scheme in ("http", "https") and parts.hostname):
        return url
    raise NotifyError("url", "must begin with http:// or https://, or be a path on this site such as /builds/1/")


def _data(value: Any) -> Any:
    if value is None:
        return None
    try:
        text = json.dumps(value, cls=DjangoJSONEncoder, allow_nan=False, ensure_ascii=False)
        size = len(text.encode())
        written = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotifyError("data", f"can't be written as JSON: {error}") from error
    if size > MAX_DATA:
        raise NotifyError(
            "data", f"is {size} bytes of JSON; the limit is {MAX_DATA}. Store it elsewhere and send a link"
        )
    _walk(written, 1)
    return written


def _walk(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise NotifyError("data", f"is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str) and "\0" in value:
        raise NotifyError("data", "contains NUL, which PostgreSQL can't store; remove it")
    if isinstance(value, dict):
        for name, inner in value.items():
            _walk(name, depth)
            _walk(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _walk(inner, depth + 1)


def _expires(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise NotifyError("expires", f"must be a datetime, not {type(value).__name__}")
    if timezone.is_naive(value) != timezone.is_naive(timezone.now()):
        raise NotifyError("expires", "must be aware like timezone.now(): USE_TZ decides whether it carries a time zone")
    try:
        value.utctimetuple()
    except OverflowError:
        raise NotifyError("expires", "has no date in UTC, so no database can hold it") from None
    return value

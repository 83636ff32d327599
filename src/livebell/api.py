"""The verbs. Each works the same in a WSGI view, an ``atomic()`` block, a task, a command and a shell; its ``a`` twin is
for async code and does the same in the thread that Django keeps for the ORM.

Publishing is safe by default: rolled back, it was never sent; committed, it arrives, also if this process dies the next
instant; and a broken broker neither fails nor delays the caller by more than 250 ms.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils.crypto import constant_time_compare, salted_hmac

from . import store
from .audience import EVERYONE, addressed, own, streams_of, topic
from .bus import get_bus
from .conf import conf
from .content import NotifyError, check_content
from .models import Notification

__all__ = [
    "EVERYONE",
    "NotifyError",
    "Published",
    "amark",
    "amark_read",
    "anotify",
    "apush",
    "aretract",
    "asubscribe",
    "aunread",
    "aunsubscribe",
    "mark",
    "mark_read",
    "notify",
    "push",
    "retract",
    "standing",
    "subscribe",
    "topics_of",
    "unread",
    "unsubscribe",
]

logger = logging.getLogger("livebell")


@dataclass(frozen=True, slots=True)
class Published:
    """What :func:`notify` has stored."""

    id: int | None
    """Number of the notification; None if the audience is empty, so that nothing was stored."""
    streams: int
    """How many streams it goes to: one for a user, a group, a topic or ``EVERYONE``."""
    duplicate: bool = False
    """A notification with this ``key`` stood there already; nothing new was stored, and ``id`` is that one's."""


def notify(
    audience: Any,
    title: str,
    *,
    body: str = "",
    url: str = "",
    level: str = "info",
    kind: str = "",
    data: Any = None,
    actor: Any = None,
    key: str | None = None,
    expires: datetime | None = None,
) -> Published:
    """Send a notification, in the caller's transaction if there is one.

    *audience*: a user, several users or a queryset of users, a ``Group``, ``EVERYONE``, or the name of a topic.
    *title*: 1 to 200 characters; *body*: up to 10,000. *url*: http(s), or a path on this site, up to 2,000.
    *level*: info, success, warning or error. *kind*: the application's own word, up to 100 characters.
    *data*: anything that is JSON, up to 16 KiB. *actor*: who did it, shown as text. *key*: the same key reaches a stream
    once, however often it is sent. *expires*: when it leaves the list and the number by itself.

    Raises :class:`NotifyError`, which names the field, and stores nothing.
    """
    content = check_content(
        title=title, body=body, url=url, level=level, kind=kind, data=data, actor=actor, key=key, expires=expires
    )
    return publish(content, streams_of(audience))


def publish(content: dict[str, Any], streams: Iterable[str]) -> Published:
    """Put checked content into the outbox, and number it after the commit."""
    key = content["key"]
    if key is not None and isinstance(streams, Sequence) and streams:
        before = store.standing_already(key, streams)
        if before is not None:
            return Published(id=before, streams=0, duplicate=True)
    few = streams if isinstance(streams, Sequence) and 0 < len(streams) <= store.CHUNK else None
    if few and key is None and store.nobody_has_to_commit():
        stored, moved = store.put_and_number(content, few)
        _say(moved)
    else:
        stored = store.put(content, streams)
        _number_after_commit([(row, min(stored.streams, store.CHUNK)) for row in stored.rows])
    return Published(id=stored.rows[0] if stored.rows else None, streams=stored.streams)


def publish_message(message: dict[str, Any]) -> Published:
    """Send what a script that knows only the channel layer asks for: ``to`` and the fields of :func:`notify`.

    Raises :class:`NotifyError` for what is malformed.
    """
    fields = dict(message)
    stream = addressed(fields.pop("to", None))
    if isinstance(expires := fields.get("expires"), str):
        fields["expires"] = _parse(expires)
    try:
        content = check_content(**{"title": "", **fields})
    except TypeError as error:
        raise NotifyError("message", f"has a field that notify() doesn't know: {error}") from error
    return publish(content, [stream])


def retract(notification: Published | Notification | int) -> None:
    """Take a notification back, in the caller's transaction: it leaves every list and every number."""
    if (pk := _pk(notification)) is None:
        return
    _number_after_commit([(store.put_retraction(pk), store.CHUNK)])  # not together with what it takes back


def push(topic_name: str, event: str, data: Any = None, *, key: str = "") -> None:
    """Tell the open pages that stand on a topic, after the commit, that something changed. Nothing is stored.

    At most once, to who is connected now; of several with the same *key* only the latest is certain to come.
    *event*: a name for the page, such as ``changed``. *data*: JSON, up to 16 KiB.
    """
    data = check_content(title="-", data=data)["data"]
    message = {"topic": topic(topic_name), "event": _event(event), "data": data, "key": str(key)}
    _after_commit(partial(get_bus().publish, {"push": {**message, "signature": _signature(message)}}))


def mark_read(user: Any, notifications: Any = None) -> None:
    """Mark as read: one notification, several (what :func:`notify` returned, or ids), or with None all there are now."""
    at = standing(user).snapshot.at
    if notifications is None:
        _mark(user, store.Marking(through=at), at)
        return
    several = [notifications] if isinstance(notifications, (int, Published, Notification)) else notifications
    ids = [pk for one in several if (pk := _pk(one)) is not None]
    _mark(user, store.Marking(read=store.entries_of(ids, at)), at)


def mark(user: Any, marking: store.Marking) -> None:
    """Change a user's marks, on the streams the user stands on."""
    _mark(user, marking, standing(user).snapshot.at)


def _mark(user: Any, marking: store.Marking, at: Iterable[str]) -> None:
    key = key_of(user)
    _tell_readers({key: store.mark(key, marking, standing=at)})


def unread(user: Any) -> int:
    """The number on this user's bell."""
    return standing(user).snapshot.unread


def subscribe(user: Any, *topics: str) -> None:
    """Let a user stand on topics, from now on; the project decides who may."""
    store.subscribe(key_of(user), [topic(name) for name in topics])
    _tell_readers(store.touch([key_of(user)]))


def unsubscribe(user: Any, *topics: str) -> None:
    """Take a user off topics."""
    store.unsubscribe(key_of(user), topics)
    _tell_readers(store.touch([key_of(user)]))


def standing(user: Any) -> store.Standing:
    """The user's snapshot, and the floors of the streams the user stands on. Raises ``ValueError`` for nobody."""
    key = key_of(user)
    found = store.standings({key: topics_of(user)}).get(key)
    if found is None:
        raise NotifyError("user", f"there is no user {key}")
    return found


def topics_of(user: Any) -> list[str]:
    """The topics that the project's own rule, ``LIVEBELL["STREAMS"]``, gives this user, and those that are everybody's."""
    rule = conf().topics
    try:
        return [*conf().PUBLIC, *(topic(name) for name in (rule(user) if rule else ()))]
    except NotifyError as error:
        raise ImproperlyConfigured(f'LIVEBELL["STREAMS"] returned a wrong name. {error}') from error


def key_of(user: Any) -> str:
    """A user's key: the text of the primary key. Raises :class:`NotifyError` for nobody."""
    if getattr(user, "pk", None) is None:
        raise NotifyError("user", "nobody is logged in, or the user isn't saved yet")
    return own(user).removeprefix("user:")


def guard(user: Any) -> None:
    """A user was saved: say so if the password or ``is_active`` is another, so that its sockets are asked again."""
    login = f"{getattr(user, 'password', '')}|{getattr(user, 'is_active', True)}"
    digest = salted_hmac("livebell.guard", login, algorithm="sha256").hexdigest()
    _tell_readers(store.guard(key_of(user), digest))


def changed(keys: Iterable[str]) -> None:
    """Say that what these readers may see has changed: every open page of theirs is asked again, and told."""
    _tell_readers(store.touch(keys))


anotify = sync_to_async(notify)
aretract = sync_to_async(retract)
apush = sync_to_async(push)
amark = sync_to_async(mark)
amark_read = sync_to_async(mark_read)
aunread = sync_to_async(unread)
asubscribe = sync_to_async(subscribe)
aunsubscribe = sync_to_async(unsubscribe)


def number(rows: Sequence[int]) -> None:
    """Number these outbox rows, and say so on the bus. Also what the sweeper calls for what a crash left behind."""
    _say(store.number(rows))


def prune(limits: store.Limits, *, batch: int = store.MAX_BATCH) -> Iterator[store.Pruned]:
    """Prune step by step, each of which is committed and said on the bus; see ``store.prune``."""
    for step in store.prune(limits, batch=batch):
        if step.floors:
            get_bus().publish({"hints": {f"livebell:pruned:{name}": floor for name, floor in step.floors.items()}})
        yield step


def _say(moved: dict[str, int]) -> None:
    if moved:
        get_bus().publish({"hints": moved})


def is_signed(push: Mapping[str, Any]) -> bool:
    """Whether a push that came over the bus was sent by this site. A hint is checked against the database; a push can't be,
    so that without this whoever can write to the bus could say anything to any page."""
    given = push.get("signature")
    message = {name: push.get(name) for name in ("topic", "event", "data", "key")}
    if not isinstance(given, str) or not all(isinstance(message[name], str) for name in ("topic", "event", "key")):
        return False
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return any(constant_time_compare(given, _signature(message, key)) for key in keys)


def _signature(message: Mapping[str, Any], secret: str | bytes | None = None) -> str:
    text = json.dumps(message, sort_keys=True)
    return salted_hmac("livebell.push", text, secret=secret, algorithm="sha256").hexdigest()


def gone(key: str) -> None:
    """Say that a user has been deleted: whoever is connected as that user is asked again, and closed."""
    _tell_readers({key: _BEYOND})


_BEYOND = 2**53 - 1
"""A rev above all others; there are no marks any more that could have one."""


Due = list[tuple[int, int]]
"""Outbox rows that a transaction has written, each with the number of streams it goes to."""


def _number_after_commit(rows: Due) -> None:
    """Number together what a transaction has published. The first of its hooks takes all rows: which one that is, only the
    end of the transaction tells, as a savepoint that is rolled back takes its hooks along. Its rows stay in the list, and
    numbering passes over what isn't there."""
    connection = store.database()
    due: Due = vars(connection).setdefault("livebell_due", [])
    if not connection.run_on_commit:
        due.clear()
    due += rows

    def take() -> None:
        taken = due[:]
        due.clear()
        for batch in _batches(taken):
            number(batch)

    _after_commit(take)


def _batches(rows: Due) -> Iterator[list[int]]:
    """As many rows in one transaction as keep it short."""
    batch: list[int] = []
    size = 0
    for row, streams in rows:
        if batch and size + streams > store.CHUNK:
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += streams
    if batch:
        yield batch


def _after_commit(function: Any) -> None:
    """Run after the commit, at once in autocommit. An error is logged: what is committed is not undone by it."""

    def hook() -> None:  # Django logs a hook that fails by its __qualname__, which a partial doesn't have
        function()

    connection = store.database()
    if connection.get_autocommit() or connection.in_atomic_block:
        transaction.on_commit(hook, using=connection.alias, robust=True)
    # Else the caller drives transactions by hand and Django runs no hooks: the sweeper finds the row.


def _tell_readers(revs: dict[str, int]) -> None:
    if not revs:
        return
    _after_commit(partial(get_bus().publish, {"hints": {f"reader:{key}": rev for key, rev in revs.items()}}))


def _pk(notification: Any) -> int | None:
    if isinstance(notification, int) and not isinstance(notification, bool):
        return notification
    if isinstance(notification, Published):
        return notification.id
    if isinstance(notification, Notification):
        return notification.pk
    raise NotifyError("notification", f"must be what notify() returned, or its id, not {type(notification).__name__}")


def _event(event: Any) -> str:
    name: str = check_content(title="-", kind=event)["kind"]
    if not name.replace("-", "").replace("_", "").replace(":", "").isalnum():
        raise NotifyError("event", f"{event!r} must be letters, digits, - _ and :")
    return name


def _parse(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise NotifyError("expires", f"{text[:40]!r} is no ISO 8601 time") from error

"""Who a notification is for. An audience is one or more streams, and never a client's choice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connections
from django.db.models import Model, QuerySet

from .content import NotifyError


class _Everyone:
    def __repr__(self) -> str:
        return "EVERYONE"


EVERYONE: Final = _Everyone()
"""Everybody who is logged in: one entry, however many users there are."""

ALL = "all"
MAX_NAME = 200
_TOPIC = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.:@/+-]{{0,{MAX_NAME - 1}}}", re.ASCII)
_RESERVED = ("user:", "group:", "reader:", "livebell:")


def streams_of(audience: Any) -> Iterable[str]:
    """The streams of an audience: a user, several users, a queryset of users, a ``Group``, ``EVERYONE`` or a topic.

    Each at most once. Raises :class:`NotifyError` (field ``audience``) for anything else.
    """
    if audience is EVERYONE:
        return [ALL]
    if isinstance(audience, str):
        return [topic(audience)]
    if isinstance(audience, get_user_model()):
        return [own(audience)]
    if isinstance(audience, Group):
        return [_saved("group", audience)]
    if isinstance(audience, QuerySet):
        return _queryset(audience)
    try:
        members = iter(audience)  # asked of the object itself: a lazy object of anything claims to be iterable
    except TypeError:
        raise NotifyError("audience", f"{_name(audience)} is no user, users, Group, EVERYONE or topic name") from None
    return list(dict.fromkeys(own(_user(member)) for member in members))


def own(user: Any) -> str:
    """The stream of one person."""
    return _saved("user", user)


def topic(name: Any) -> str:
    """Check the name of a topic of the application."""
    if not isinstance(name, str):
        raise NotifyError("audience", f"the name of a topic is text, not {type(name).__name__}")
    if name.startswith(_RESERVED) or name == ALL:
        raise NotifyError(
            "audience", f"{name!r} is a name of Livebell's own; pass the user, the Group or EVERYONE itself"
        )
    if not _TOPIC.fullmatch(name):
        raise NotifyError(
            "audience", f"{name[:60]!r} is no topic name: 1 to {MAX_NAME} of the characters A-Z a-z 0-9 _ . : @ / + -"
        )
    return name


def addressed(to: Any) -> str:
    """The stream that an outside script means by ``to``: ``user:1``, ``group:3``, ``all`` or a topic.

    Raises :class:`NotifyError` (field ``to``) if there is no such user or group.
    """
    if to == ALL:
        return ALL
    if not isinstance(to, str):
        raise NotifyError("to", f"must be text such as user:1, not {type(to).__name__}")
    if "\0" in to:
        raise NotifyError("to", "contains NUL, which PostgreSQL can't be asked for")
    kind, _, pk = to.partition(":")
    model: Any = {"user": get_user_model(), "group": Group}.get(kind)
    if model is None:
        return topic(to)
    return _saved(kind, _existing(model, kind, pk))


def _existing(model: Any, kind: str, pk: str) -> Model:
    try:
        found: Model = model._base_manager.get(pk=pk)
    except (ValueError, TypeError, model.DoesNotExist, model.MultipleObjectsReturned):
        raise NotifyError("to", f"there is no {kind} with the primary key {pk[:60]!r}") from None
    except Exception as error:
        if type(error).__name__ != "ValidationError":  # Django's, for a UUID that isn't one
            raise
        raise NotifyError("to", f"{pk[:60]!r} is no primary key of a {kind}") from None
    return found


def _saved(kind: str, member: Model) -> str:
    if member.pk is None or member._state.adding:  # a UUID is there before the row is
        raise NotifyError("audience", f"the {kind} {member} isn't saved yet; save it first")
    return f"{kind}:{member.pk}"


def _user(member: Any) -> Any:
    if isinstance(member, get_user_model()):
        return member
    raise NotifyError("audience", f"several means several users; {_name(member)} is none")


def _queryset(users: QuerySet[Any]) -> Iterator[str]:
    if not issubclass(users.model, get_user_model()):
        raise NotifyError("audience", f"a queryset of users is wanted, not of {users.model.__name__}")
    manager = get_user_model()._base_manager.using(users.db)
    keys = manager.filter(pk__in=users.values("pk")).order_by("pk").values_list("pk", flat=True)
    if connections[users.db].vendor == "sqlite":
        # An open cursor would hold the snapshot that the INSERT has to get past: "database is locked", at once.
        return (f"user:{pk}" for pk in list(keys))
    return (f"user:{pk}" for pk in keys.iterator(chunk_size=2000))


def _name(value: Any) -> str:
    return f"{type(value).__name__} {value!r}"[:80]

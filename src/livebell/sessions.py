"""Whose sessions these are, and whether they still count: for many at once, so that a storm after a deploy costs a few
queries, and so does asking again later (``django.contrib.auth.get_user`` asks twice for each)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
    load_backend,
)
from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.backends.db import SessionStore as DatabaseSessions
from django.utils import timezone
from django.utils.crypto import constant_time_compare


def users_of(sessions: Iterable[str]) -> dict[str, str]:
    """The reader's key of every session in which an active user is logged in, as ``get_user`` would find it."""
    found = _load(set(sessions))
    users = _users(found.values())
    return {
        key: str(user.pk)
        for key, session in found.items()
        if (user := users.get((session[BACKEND_SESSION_KEY], session[SESSION_KEY]))) is not None
        and getattr(user, "is_active", True)
        and _has_hash_of(session, user)
    }


def _load(keys: set[str]) -> dict[str, Mapping[str, Any]]:
    """What these sessions hold; those without a login are left out."""
    sessions = _load_at_once(keys) if _engine() is DatabaseSessions else {key: _engine()(key).load() for key in keys}
    return {key: held for key, held in sessions.items() if held.get(SESSION_KEY) and held.get(BACKEND_SESSION_KEY)}


def _engine() -> Any:
    return import_module(settings.SESSION_ENGINE).SessionStore


def _load_at_once(keys: set[str]) -> dict[str, Mapping[str, Any]]:
    rows = DatabaseSessions.get_model_class().objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
    return {row.session_key: DatabaseSessions().decode(row.session_data) for row in rows}


def _users(sessions: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Any]:
    wanted: dict[str, set[str]] = {}
    for session in sessions:
        if session[BACKEND_SESSION_KEY] in settings.AUTHENTICATION_BACKENDS:
            wanted.setdefault(session[BACKEND_SESSION_KEY], set()).add(session[SESSION_KEY])
    return {(path, pk): user for path, pks in wanted.items() for pk, user in _users_of_backend(path, pks).items()}


def _users_of_backend(path: str, pks: set[str]) -> dict[str, Any]:
    """By the text of the primary key, as the session keeps it."""
    backend: Any = load_backend(path)
    if type(backend).get_user is not ModelBackend.get_user:
        return {pk: backend.get_user(get_user_model()._meta.pk.to_python(pk)) for pk in pks}
    users = get_user_model()._default_manager.in_bulk(list(pks))
    texts = {user._meta.pk.value_to_string(user): user for user in users.values()}
    return {pk: user for pk, user in texts.items() if backend.user_can_authenticate(user)}


def _has_hash_of(session: Mapping[str, Any], user: Any) -> bool:
    """Whether the password is the one of the login, under this secret key or one of its predecessors."""
    if not hasattr(user, "get_session_auth_hash"):
        return True
    given = session.get(HASH_SESSION_KEY, "")
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return any(constant_time_compare(given, known) for known in hashes)

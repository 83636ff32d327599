"""``python -m peers.accounts 1000``: migrate, make users 1 … 1000 if need be, log each in; print pk and cookie."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import django


def main(number: int) -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    for user, cookie in log_in(users(number)):
        print(user.pk, cookie)


def users(number: int) -> list[Any]:
    from django.contrib.auth.models import User

    there = set(User.objects.filter(pk__lte=number).values_list("pk", flat=True))
    missing = (User(pk=pk, username=f"user{pk}", password="!") for pk in range(1, number + 1) if pk not in there)
    User.objects.bulk_create(missing, batch_size=1000)
    return list(User.objects.filter(pk__lte=number).order_by("pk"))


def log_in(several: list[Any]) -> list[tuple[Any, str]]:
    """A session each, as ``django.contrib.auth.login`` leaves it."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore
    from django.contrib.sessions.models import Session
    from django.utils import timezone
    from django.utils.crypto import get_random_string

    store, until, made = SessionStore(), timezone.now() + timedelta(days=14), []
    for user in several:
        held = {
            SESSION_KEY: str(user.pk),
            BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend",
            HASH_SESSION_KEY: user.get_session_auth_hash(),
        }
        made.append(Session(session_key=get_random_string(32), session_data=store.encode(held), expire_date=until))
    Session.objects.bulk_create(made, batch_size=1000)
    return [(user, session.session_key) for user, session in zip(several, made, strict=True)]


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]))

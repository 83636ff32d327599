"""Publishes that come over the channel layer: every live process gets its own copy, one of them stores it.

A copy is matched with what another process has stored: the same message, not long ago, not seen by this process yet. Two
equal messages in a row stay two, and a copy that only one process got is stored all the same.
"""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import Any

import msgspec
from django.db import transaction
from django.utils import timezone

from ..models import Epoch, Intake
from .log import epoch
from .sql import again, database

WINDOW = timedelta(seconds=30)
"""Copies of one message reach all processes within this time."""


@again
def claim(message: Any, process: str) -> bool:
    """Whether this process is the first to see this message, and so the one to store it."""
    digest = sha256(msgspec.json.encode(message, order="sorted")).hexdigest()
    epoch()
    with transaction.atomic(using=database().alias):
        Epoch.objects.using(database().alias).update(id=1)  # one claim at a time: locks the row, writes before reading
        copies = Intake.objects.using(database().alias).filter(digest=digest).order_by("pk")
        for copy in copies.filter(received__gt=timezone.now() - WINDOW):
            if process not in copy.seen:
                copy.seen.append(process)
                copy.save(using=database().alias, update_fields=["seen"])
                return False
        Intake.objects.using(database().alias).filter(received__lt=timezone.now() - 2 * WINDOW).delete()
        copies.create(digest=digest, seen=[process])
        return True

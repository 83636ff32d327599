"""The word to drain, which every live process hears, and what those that drain say of themselves.

A number and no point in time: a process drains when it finds a higher one than it began under, so that no two clocks have
to agree, and whoever starts afterwards isn't meant.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from django.db import transaction
from django.db.models import F

from ..models import Epoch, Leaver
from .log import history
from .sql import database


@dataclass(frozen=True, slots=True)
class Leaving:
    """One process that drains."""

    name: str
    """Host and process id."""
    total: int
    """Connections it had."""
    left: int
    """Connections it still has."""
    done: bool


def ask_to_drain() -> int:
    """Tell every live process that runs now to drain; returns the number of this drain."""
    history()
    with transaction.atomic(using=database().alias):
        Epoch.objects.using(database().alias).update(drains=F("drains") + 1)
        Leaver.objects.using(database().alias).all().delete()
        return history()[1]


def report(process: str, drain: int, leaving: Leaving) -> None:
    """Say how far this process is."""
    row = Leaver(process=process, drain=drain, **asdict(leaving))
    fields = [field.name for field in Leaver._meta.local_fields if not field.primary_key]
    Leaver.objects.using(database().alias).bulk_create(
        [row], update_conflicts=True, unique_fields=["process"], update_fields=fields
    )


def leaving(drain: int) -> list[Leaving]:
    """The processes that follow this drain, as far as they have said so."""
    rows = Leaver.objects.using(database().alias).filter(drain=drain).order_by("name")
    return [Leaving(row.name, row.total, row.left, row.done) for row in rows]

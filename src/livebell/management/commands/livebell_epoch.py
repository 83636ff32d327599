"""``manage.py livebell_epoch``"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from ... import store
from ...bus import get_bus


class Command(BaseCommand):
    """Begin a new epoch, after a restore from a backup."""

    help = "After a restore from a backup: every client forgets what it has and starts over with a reset."

    def handle(self, *args: Any, **options: Any) -> None:
        """Begin it, and say so to who runs."""
        epoch = store.new_epoch()
        get_bus().publish({"check": True})
        self.stdout.write(f"a new epoch has begun: {epoch}")

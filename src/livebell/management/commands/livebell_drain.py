"""``manage.py livebell_drain``"""

from __future__ import annotations

from argparse import ArgumentParser
from time import monotonic, sleep
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ... import store
from ...bus import get_bus
from ...progress import Progress

LOOK_EVERY = 0.2
SETTLED = 2.0
"""Seconds without a word from another process after which nobody else is expected, once all that spoke are done."""


class Command(BaseCommand):
    """Ask every live process that runs now to send its clients elsewhere, and wait until they have."""

    help = (
        "Ask every live process that runs now to close its sockets, each client with its own time to come back. They take "
        "in nobody any more until they are restarted; those that start after this command are not meant."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--wait SECONDS."""
        parser.add_argument(
            "--wait",
            type=float,
            default=20.0,
            help="seconds to wait for the first process, and for each word of it (20)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Say it, show how many connections are left, and fail if a process doesn't finish."""
        if not 0 < options["wait"] <= 3600:
            raise CommandError(f"--wait: must be more than 0 and at most 3600 seconds, not {options['wait']:g}")
        drain = store.ask_to_drain()
        get_bus().publish({"check": True})
        found = self._wait(drain, options["wait"])
        for one in found:
            self.stdout.write(f"{one.name}: {one.total - one.left} of {one.total} connections sent elsewhere")
        if not found:
            self.stdout.write(f"No live process has answered within {options['wait']:g} s.")
        elif not all(one.done for one in found):
            raise CommandError(
                f"not all have finished within {options['wait']:g} s; what is left ends with its process"
            )
        else:
            self.stdout.write(f"{len(found)} live processes have drained and can be ended.")

    def _wait(self, drain: int, seconds: float) -> list[store.Leaving]:
        found: list[store.Leaving] = []
        last = monotonic()
        with Progress("draining", total=0, unit="connections") as bar:
            while monotonic() - last < (SETTLED if found and all(one.done for one in found) else seconds):
                sleep(LOOK_EVERY)
                if (now := store.leaving(drain)) != found:
                    found, last = now, monotonic()
                bar.total = sum(one.total for one in found)
                bar.set(bar.total - sum(one.left for one in found))
        return found

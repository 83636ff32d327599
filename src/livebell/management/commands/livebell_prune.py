"""``manage.py livebell_prune --older-than 90d --keep 5000``"""

from __future__ import annotations

import re
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ... import api, store
from ...conf import conf
from ...progress import Progress

AGE = re.compile(r"(\d+(?:\.\d+)?)([smhdw])", re.ASCII)
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
CENTURY = 36_525 * 86_400
MOST = 10**12


class Command(BaseCommand):
    """Take out of the log what is too old, or too much for its stream."""

    help = (
        "Delete notifications that are older than a limit, and what a stream has above a number, the oldest first; for a "
        "cron job. Publishing and reading go on. What is pruned leaves every list and every number, read or not."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The two limits, and how much at once."""
        parser.add_argument("--older-than", metavar="AGE", help="such as 90d, 12h or 2w; default: RETAIN_DAYS")
        parser.add_argument("--keep", metavar="N", help="entries of each stream that stay; default: RETAIN_PER_STREAM")
        parser.add_argument(
            "--batch",
            metavar="N",
            default=str(store.MAX_BATCH),
            help=f"rows in one transaction, at the most ({store.MAX_BATCH})",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Prune, and say how much."""
        limits = store.Limits(since=self._since(options["older_than"]), keep=self._keep(options["keep"]))
        batch = _whole("--batch", options["batch"], most=10_000)
        if limits == store.Limits():
            raise CommandError(
                "nothing is too old or too much: give --older-than or --keep, or set RETAIN_DAYS or RETAIN_PER_STREAM"
            )
        entries = notifications = receipts = 0
        took = 0.0
        with Progress("pruning", total=store.to_look_at(), unit="entries") as bar:
            for step in api.prune(limits, batch=batch):
                bar.add(step.seen)
                entries, notifications = entries + step.entries, notifications + step.notifications
                receipts, took = receipts + step.receipts, max(took, step.took)
        self.stdout.write(
            f"pruned: {entries} entries, {notifications} notifications, {receipts} receipts; "
            f"longest transaction {took * 1000:.0f} ms"
        )

    def _since(self, age: str | None) -> Any:
        if age is None:
            days = conf().RETAIN_DAYS
            return None if days is None else timezone.now() - timedelta(days=days)
        found = AGE.fullmatch(age)
        seconds = float(found[1]) * SECONDS[found[2]] if found else 0
        if not 0 < seconds <= CENTURY:
            raise CommandError(f"--older-than: {age[:40]!r} is no age from 1s to a century; write 90d, 12h or 2w")
        return timezone.now() - timedelta(seconds=seconds)

    def _keep(self, number: str | None) -> int | None:
        return conf().RETAIN_PER_STREAM if number is None else _whole("--keep", number, most=MOST)


def _whole(name: str, text: Any, *, most: int) -> int:
    number = int(text) if re.fullmatch(r"\d{1,15}", str(text), re.ASCII) else 0
    if not 1 <= number <= most:
        raise CommandError(f"{name}: must be a whole number from 1 to {most}, not {str(text)[:40]!r}")
    return number

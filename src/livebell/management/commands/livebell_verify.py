"""``manage.py livebell_verify [--fix]``"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from ... import api, store
from ...bus import get_bus
from ...progress import Progress

READERS = 50
"""Readers that are counted at once."""


class Command(BaseCommand):
    """Count everything again, the slow way, and say what is wrong."""

    help = "Hold every table and every reader's number against a slow recount; exit with 1 if anything is wrong."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--fix."""
        parser.add_argument("--fix", action="store_true", help="mend what can be mended without losing anything")

    def handle(self, *args: Any, **options: Any) -> None:
        """Walk, report, mend."""
        wrong = list(self._rows(options["fix"]))
        miscounted = list(self._readers())
        for one in miscounted:
            self.stdout.write(str(one))
        left = len(wrong) + len(miscounted)
        if left:
            raise CommandError(f"{left} left" + ("" if options["fix"] else "; --fix mends what can be mended"))
        self.stdout.write("verified: 0 wrong")

    def _rows(self, fix: bool) -> Iterator[store.Finding]:
        """What is wrong and stays so."""
        fixed = []
        with Progress("verifying", total=store.rows_to_verify(), unit="rows") as bar:
            for count, suspects in store.verify():
                bar.add(count)
                for finding in store.settled(suspects):
                    self.stdout.write(str(finding))
                    if fix and store.fix(finding):
                        self.stdout.write(f"  fixed: {finding.check.mends}")
                        fixed.append(finding)
                    else:
                        yield finding
        if any(finding.check.epoch for finding in fixed):
            store.new_epoch()
            self.stdout.write("a new epoch has begun: every client starts over with a reset")
        if fixed:
            get_bus().publish({"check": True})

    def _readers(self) -> Iterator[store.Miscounted]:
        users = get_user_model()._base_manager.order_by("pk")
        with Progress("counting", total=users.count(), unit="readers") as bar:
            several = users.iterator(chunk_size=READERS)
            while some := list(islice(several, READERS)):
                yield from store.miscounted({api.key_of(user): api.topics_of(user) for user in some})
                bar.add(len(some))

"""``livebell_verify`` beside publishers, readers and a prune, each in a real process; and revs below 0."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from livebell import EVERYONE, notify, store
from livebell.models import Outbox, Reader
from tests.helpers import person
from tests.site import ROOT, environment
from tests.test_prune import PUBLISHER

pytestmark = pytest.mark.django_db(transaction=True)

SETUP = "import sys; sys.argv = ['x', '10']\nimport django; django.setup()\n"
PRUNER = """
import time
from django.core.management import call_command
until = time.monotonic() + 10
while time.monotonic() < until:
    call_command("livebell_prune", "--keep", "50", "--batch", "10", stdout=open("/dev/null", "w"))
"""
READER = """
import random, time
from django.contrib.auth import get_user_model
from livebell import mark_read, store, api
users = list(get_user_model().objects.order_by("pk"))
until = time.monotonic() + 10
while time.monotonic() < until:
    user = random.choice(users)
    at = api.standing(user).snapshot.at
    api.mark(user, store.Marking(read={name: [max(1, head - 3)] for name, head in at.items()}))
    time.sleep(0.01)
"""


def verify(*words: str) -> tuple[str, bool]:
    out = StringIO()
    try:
        call_command("livebell_verify", *words, stdout=out)
    except CommandError:
        return out.getvalue(), False
    return out.getvalue(), True


def test_a_rev_below_zero_is_mended_in_one_run() -> None:
    """However far below, and also of a reader without marks."""
    ann = person("ann")
    notify(EVERYONE, "a")
    store.touch([str(ann.pk)])
    Reader.objects.update(rev=-5)
    said, content = verify()
    assert not content, said
    said, content = verify("--fix")
    assert content, said
    assert Reader.objects.get().rev > 0


def test_a_retraction_of_what_is_not_there_is_found() -> None:
    """And cleared."""
    row = store.put_retraction(424242)
    Outbox.objects.filter(pk=row).update(created=timezone.now() - timedelta(minutes=2))
    said, content = verify()
    assert not content, said
    assert verify("--fix")[1]
    assert not Outbox.objects.exists()


@pytest.mark.slow
def test_no_false_alarm_under_load() -> None:
    """Publishers, readers and a prune in processes of their own: whatever verify sees in passing, it reports nothing."""
    users = [person(name) for name in ("ann", "bob", "eve")]
    for n in range(1500):
        one = store.put({"title": f"{n}", "key": None}, ["all", f"user:{users[0].pk}"]).rows
        store.number(one)
    codes = [PUBLISHER, PUBLISHER, READER, PRUNER]
    started: list[Any] = [
        subprocess.Popen(
            [sys.executable, "-c", SETUP + code],
            env=environment(),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for code in codes
    ]
    said = []
    try:
        while all(process.poll() is None for process in started):
            said.append(verify())
    finally:
        errors = [process.communicate(timeout=30)[1] for process in started]
    assert [process.returncode for process in started] == [0] * len(started), errors
    alarms = [text for text, content in said if not content]
    print(f"{len(said)} runs, {len(alarms)} alarms")
    assert not alarms, alarms[0]
    assert len(said) > 3
    assert verify()[1]

"""``manage.py livebell_verify``: each kind of damage, made by hand, is found, mended, and then there is none."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from livebell import EVERYONE, api, mark_read, notify, retract, store, unread
from livebell.models import Entry, Epoch, Outbox, Stream
from livebell.store import verifying
from tests.helpers import log, person, titles
from tests.recount import recount
from tests.site import ROOT, environment
from tests.test_prune import PUBLISHER

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "LOOK_AGAIN", 0.01)


@pytest.fixture
def ann() -> Any:
    """A reader with a bit of everything."""
    user = person("ann")
    several = [notify(EVERYONE, f"n{n}") for n in range(10)]
    notify(user, "own")
    retract(several[3])
    mark_read(user, several[5])
    api.mark(user, store.Marking(through={"all": 2}))
    return user


def verify(*words: str) -> tuple[str, bool]:
    """What it says, and whether it is content."""
    out = StringIO()
    try:
        call_command("livebell_verify", *words, stdout=out)
    except CommandError:
        return out.getvalue(), False
    return out.getvalue(), True


def sql(text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text)


ALL = "(SELECT id FROM livebell_stream WHERE name = 'all')"
NOTE = f"(SELECT notification_id FROM livebell_entry WHERE stream_id = {ALL} AND seq = 8)"
USER = "(SELECT MIN(user_id) FROM livebell_mark)"
DAMAGE = {
    "head": f"UPDATE livebell_stream SET head = 7 WHERE id = {ALL}",
    "head, floor": f"UPDATE livebell_stream SET floor = head + 5 WHERE id = {ALL}",
    "hole": f"DELETE FROM livebell_entry WHERE stream_id = {ALL} AND seq IN (7, 9)",
    "hole, head": f"UPDATE livebell_stream SET head = 1000000 WHERE id = {ALL}",
    "hole, last": f"DELETE FROM livebell_entry WHERE stream_id = {ALL} AND seq = 11",
    "below floor": f"UPDATE livebell_stream SET floor = 2 WHERE id = {ALL}",
    "stray entry": "INSERT INTO livebell_entry (stream_id, seq, notification_id) VALUES (999, 1, 1)",
    "no content": f"DELETE FROM livebell_notification WHERE id = {NOTE}",
    "no content, taken back": f"DELETE FROM livebell_notification WHERE id = {NOTE.replace('= 8', '= 4')}",
    "no target": f"UPDATE livebell_entry SET retracts = 77 WHERE stream_id = {ALL} AND seq = 11",
    "no target, itself": f"UPDATE livebell_entry SET retracts = 11 WHERE stream_id = {ALL} AND seq = 11",
    "half taken back": f"UPDATE livebell_notification SET retracted = created WHERE id = {NOTE}",
    "half taken back, other": "UPDATE livebell_notification SET retracted = NULL",
    "mark": f"UPDATE livebell_mark SET read_through = 500 WHERE stream_id = {ALL}",
    "mark, gone": f"INSERT INTO livebell_mark (user_id, stream_id, read_through, seen_through, subscribed) SELECT {USER}, 999, 1, 1, FALSE",
    "rev": "DELETE FROM livebell_reader",
    "receipt": f"INSERT INTO livebell_receipt (user_id, stream_id, seq, archived) SELECT {USER}, {ALL}, 500, FALSE",
    "receipt, retraction": f"INSERT INTO livebell_receipt (user_id, stream_id, seq, archived) SELECT {USER}, {ALL}, 11, FALSE",
    "receipt, gone": f"INSERT INTO livebell_receipt (user_id, stream_id, seq, archived) SELECT {USER}, 999, 1, FALSE",
}


def test_what_is_right_is_found_right(ann: Any) -> None:
    """0 wrong, also after pruning."""
    assert verify() == ("verified: 0 wrong\n", True)
    list(api.prune(store.Limits(keep=4)))
    assert verify() == ("verified: 0 wrong\n", True)


@pytest.mark.parametrize("kind", DAMAGE)
def test_each_damage_is_found_and_mended(kind: str, ann: Any) -> None:
    """Reported by its name, left alone without --fix, mended with it, and then there is none; the number is right again."""
    sql(DAMAGE[kind])
    said, content = verify()
    assert not content
    assert f"{kind.split(',', maxsplit=1)[0]}: " in said
    assert verify()[0] == said, "looking changes nothing"
    before = store.epoch()
    said, content = verify("--fix")
    assert content, said
    assert "  fixed: " in said
    assert verify() == ("verified: 0 wrong\n", True)
    assert unread(ann) == recount(ann)
    assert len(titles(ann, only="unread")) == unread(ann)
    assert (store.epoch() != before) is ("a new epoch" in said)
    notify(EVERYONE, "after")
    assert log("all")[-1] == "after"
    assert verify() == ("verified: 0 wrong\n", True)


def test_an_unused_notification_is_deleted(ann: Any) -> None:
    """No entry shows it, and nothing in the outbox will."""
    sql(
        "INSERT INTO livebell_notification (id, kind, title, body, url, level, actor, created) SELECT 99999, '', 'x', '', '', 'info', '', created FROM livebell_notification LIMIT 1"
    )
    assert "unused: notification id 99999" in verify()[0]
    assert verify("--fix")[1]
    assert verify()[1]


def test_a_stuck_row_is_numbered(ann: Any) -> None:
    """After a minute somebody should have; before, it is no drift."""
    row = store.put({"title": "stuck", "key": None}, ["all"]).rows[0]
    assert verify()[1]
    Outbox.objects.filter(pk=row).update(created=timezone.now() - timedelta(minutes=2))
    assert "stuck: outbox" in verify()[0]
    assert verify("--fix")[1]
    assert log("all")[-1] == "stuck"


def test_nothing_that_stands_is_lost_by_a_fix(ann: Any) -> None:
    """Holes lose only what was lost before."""
    left = set(titles(ann))
    gone = set(Entry.objects.filter(stream__name="all", seq__in=(7, 9)).values_list("notification__title", flat=True))
    sql(DAMAGE["hole"])
    assert verify("--fix")[1]
    assert set(titles(ann)) == left - gone
    assert log("all")[6] == log("all")[8] == "gone"


def test_a_passing_state_is_no_damage(ann: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is right by the second look is not reported: somebody was just numbering, or pruning."""
    sql(DAMAGE["head"])
    head = Entry.objects.filter(stream__name="all").count()
    monkeypatch.setattr(verifying, "sleep", lambda seconds: Stream.objects.filter(name="all").update(head=head))
    assert verify() == ("verified: 0 wrong\n", True)


def test_a_miscount_is_reported(ann: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the recount: if the two ways disagree, it says so and fails."""
    monkeypatch.setattr(verifying, "_recount_all", lambda found: dict.fromkeys(found, 77))
    said, content = verify()
    assert not content
    assert "counted one by one it is 77" in said


@pytest.mark.slow
def test_under_load_there_are_no_false_alarms(ann: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes publish and mark and this one prunes, while everything is counted again and again."""
    monkeypatch.setattr(verifying, "LOOK_AGAIN", 1.0)
    person("bob")
    code = "import sys; sys.argv = ['x', '6']\nimport django; django.setup()\n" + PUBLISHER
    publishers = [subprocess.Popen([sys.executable, "-c", code], env=environment(), cwd=ROOT) for _ in range(2)]
    runs = 0
    while any(process.poll() is None for process in publishers):
        list(api.prune(store.Limits(keep=50)))
        assert verify() == ("verified: 0 wrong\n", True)
        runs += 1
    assert [process.wait() for process in publishers] == [0, 0]
    assert runs > 3
    print(f"{connection.vendor}: {runs} runs")


def test_the_epoch_command_begins_another(ann: Any) -> None:
    """After a restore."""
    before = store.epoch()
    out = StringIO()
    call_command("livebell_epoch", stdout=out)
    assert store.epoch() != before
    assert store.epoch() in out.getvalue()
    assert Epoch.objects.count() == 1

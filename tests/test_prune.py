"""Pruning: what goes, what stays, and that nobody miscounts at any moment of it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from datetime import timedelta
from io import StringIO
from typing import Any

import httpx
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from livebell import EVERYONE, api, mark_read, notify, retract, store, unread
from livebell.models import Intake, Notification, Outbox, Receipt
from livebell.store import pruning
from livebell.testing import deliver
from tests.helpers import listening, person, seqs, titles
from tests.recount import recount
from tests.site import ROOT, Page, environment, log_in, serving
from tests.test_drain import on_bus

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ann() -> Any:
    return person("ann")


def prune(*, days: float | None = None, keep: int | None = None, batch: int = 100) -> list[store.Pruned]:
    since = None if days is None else timezone.now() - timedelta(days=days)
    return list(api.prune(store.Limits(since, keep), batch=batch))


def age(days: float, *titles: str) -> None:
    """Let these have been published so long ago."""
    Notification.objects.filter(title__in=titles).update(created=timezone.now() - timedelta(days=days))


def say(to: Any, *titles: str) -> None:
    for title in titles:
        notify(to, title)


# What goes, and what stays.


def test_what_is_too_old_goes(ann: Any) -> None:
    """With its notification; what is younger stays, numbers and all."""
    say(ann, "a", "b", "c", "d")
    age(91, "a", "b")
    age(89, "c")
    prune(days=90)
    assert titles(ann) == ["d", "c"]
    assert seqs(f"user:{ann.pk}") == [3, 4]
    assert set(Notification.objects.values_list("title", flat=True)) == {"c", "d"}
    assert unread(ann) == recount(ann) == 2


def test_an_old_one_above_a_younger_one_waits(ann: Any) -> None:
    """A log is cut at one place: nothing that is young enough goes."""
    say(ann, "a", "young", "old", "b")
    age(100, "a", "old")
    prune(days=90)
    assert titles(ann) == ["b", "old", "young"]


def test_what_is_too_much_goes(ann: Any) -> None:
    """Of each stream for itself, the oldest first."""
    say(ann, *"abcde")
    say(EVERYONE, *"xyz")
    prune(keep=2)
    assert titles(ann) == ["z", "y", "e", "d"]
    assert unread(ann) == recount(ann) == 4


def test_both_limits_hold(ann: Any) -> None:
    """Whichever goes further."""
    bob = person("bob")
    say(ann, *"abcde")
    age(100, *"abcd")
    say(bob, *"vwxyz")
    prune(days=90, keep=3)
    assert (titles(ann), titles(bob)) == (["e"], ["z", "y", "x"])


def test_without_limits_everything_stays(ann: Any) -> None:
    """Nothing is deleted by chance."""
    say(ann, *"abc")
    age(10_000, "a")
    assert sum(step.entries for step in prune()) == 0
    assert titles(ann) == ["c", "b", "a"]


def test_a_whole_stream_may_go(ann: Any) -> None:
    """Everything in it is too old; the numbers go on from where they were."""
    say(ann, *"abc")
    age(100, *"abc")
    prune(days=90)
    assert (titles(ann), unread(ann)) == ([], 0)
    assert not Notification.objects.exists()
    notify(ann, "d")
    assert (seqs(f"user:{ann.pk}"), unread(ann)) == ([4], 1)


def test_a_notification_stays_as_long_as_one_stream_has_it(ann: Any) -> None:
    """Content is stored once, and leaves with the last entry that shows it."""
    bob = person("bob")
    notify([ann, bob], "shared")
    say(ann, "a", "b")
    prune(keep=2)
    assert (titles(ann), titles(bob)) == (["b", "a"], ["shared"])
    say(bob, "c", "d")
    prune(keep=2)
    assert not Notification.objects.filter(title="shared").exists()


def test_a_notification_that_is_still_being_numbered_stays(ann: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large audience goes through the outbox in parts; the first may be pruned before the last is numbered."""
    bob = person("bob")
    monkeypatch.setattr(store.outbox, "CHUNK", 1)
    content = {"title": "large", "key": None}
    rows = store.put(content, [f"user:{ann.pk}", f"user:{bob.pk}"]).rows
    store.number(rows[:1])
    say(ann, "a")
    prune(keep=1)
    assert Outbox.objects.count() == 1
    assert Notification.objects.filter(title="large").exists()
    store.number(rows[1:])
    assert (titles(ann), titles(bob)) == (["a"], ["large"])


def test_a_retraction_goes_like_any_entry(ann: Any) -> None:
    """Also when what it takes back has gone before it; and the number is right in between."""
    first = notify(ann, "oops")
    say(ann, "a", "b")
    retract(first)
    for keep in (3, 2, 1):
        prune(keep=keep)
        assert unread(ann) == recount(ann)
    assert titles(ann) == []
    prune(keep=1)
    assert Notification.objects.count() == 1, "that of the retraction, which is the newest entry"


def test_a_retraction_of_what_was_pruned_is_nothing(ann: Any) -> None:
    """It may come at any time."""
    first = notify(ann, "oops")
    say(ann, "a", "b")
    prune(keep=2)
    retract(first)
    assert (titles(ann), unread(ann)) == (["b", "a"], 2)
    assert not Outbox.objects.exists()


def test_receipts_go_with_their_entries(ann: Any) -> None:
    """Those above the floor stay, also archived ones, and of other readers."""
    bob = person("bob")
    published = [notify(EVERYONE, title) for title in "abcd"]
    for user in (ann, bob):
        mark_read(user, published[0])
        mark_read(user, published[2])
    api.mark(ann, store.Marking(archive={"all": [2, 4]}))
    steps = prune(keep=2)
    assert sum(step.receipts for step in steps) == 3
    assert sorted(Receipt.objects.values_list("user__username", "seq", "archived")) == [
        ("ann", 3, False),
        ("ann", 4, True),
        ("bob", 3, False),
    ]
    assert [unread(user) for user in (ann, bob)] == [recount(user) for user in (ann, bob)] == [0, 1]


def test_many_receipts_are_walked_in_slices(ann: Any) -> None:
    """More than one slice of them, of several readers and streams."""
    users = [ann, *[person(f"u{n}") for n in range(5)]]
    for n in range(6):
        for user in users:
            notify(user, f"{n}")
        notify(EVERYONE, f"{n}")
    for user in users:
        for stream in ("all", f"user:{user.pk}"):
            api.mark(user, store.Marking(read={stream: [2, 3, 5]}))
    prune(keep=3, batch=10)
    assert sorted(set(Receipt.objects.values_list("seq", flat=True))) == [5]
    assert Receipt.objects.count() == 2 * len(users)
    assert [unread(user) for user in users] == [recount(user) for user in users]


def test_what_came_over_the_layer_is_forgotten_too() -> None:
    """Copies can't come any more after an hour."""
    now = timezone.now()
    for minutes in (1, 59, 61, 6000):
        Intake.objects.create(digest=str(minutes), received=now - timedelta(minutes=minutes))
    prune(keep=1)
    assert set(Intake.objects.values_list("digest", flat=True)) == {"1", "59"}


# Every moment of it.


def test_the_number_is_right_after_every_step(ann: Any) -> None:
    """For readers who have read nothing, some or all, singly or through, with retractions and expiry: after each step the
    arithmetic is the slow recount, and never more than before."""
    bob, eve = person("bob"), person("eve")
    published = [notify(EVERYONE, f"{n}", expires=None) for n in range(60)]
    mark_read(bob, published[10:20] + published[40:45])
    api.mark(eve, store.Marking(through={"all": 33}, read={"all": [35, 36]}))
    for one in published[5:60:9]:
        retract(one)
    Notification.objects.filter(title__in=["7", "27", "47"]).update(expires=timezone.now())
    before = {user: unread(user) for user in (ann, bob, eve)}
    steps = 0
    for step in store.prune(store.Limits(keep=12), batch=10):
        steps += bool(step.floors)
        for user, number in before.items():
            assert unread(user) == recount(user) <= number
    assert steps >= 5
    assert len(seqs("all")) == 12


def test_what_a_crash_left_below_the_floor_goes_with_the_next_run(ann: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The floor is raised first: what is below it counts no more, and is found again."""
    say(ann, *"abcdefgh")
    with monkeypatch.context() as broken:
        broken.setattr(pruning, "_remove", lambda cuts: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prune(keep=3)
    assert (unread(ann), titles(ann)) == (3, ["h", "g", "f"])
    assert len(seqs(f"user:{ann.pk}")) == 8
    prune(keep=3, batch=10)
    assert seqs(f"user:{ann.pk}") == [6, 7, 8]
    assert Notification.objects.count() == 3


def test_a_small_batch_comes_to_the_same(ann: Any) -> None:
    """However small the steps are."""
    say(ann, *[f"{n}" for n in range(30)])
    steps = prune(keep=7, batch=1)
    assert max(step.entries for step in steps) == 1
    assert seqs(f"user:{ann.pk}") == list(range(24, 31))


def test_progress_adds_up(ann: Any) -> None:
    """What has been seen is what there was to look at."""
    say(ann, *[f"{n}" for n in range(25)])
    say(EVERYONE, *"abc")
    total = store.to_look_at()
    assert sum(step.seen for step in prune(keep=5, batch=10)) == total == 28


def test_the_bus_hears_of_each_new_floor(ann: Any) -> None:
    """So that open pages are counted again at once."""
    say(ann, *"abcde")
    with listening() as ear:
        prune(keep=2)
    assert ear.heard() == {f"livebell:pruned:user:{ann.pk}": 3}


# The command.


def command(*words: str) -> str:
    out = StringIO()
    call_command("livebell_prune", *words, stdout=out)
    return out.getvalue()


def test_the_command_takes_both_limits(ann: Any) -> None:
    """And says what it has done."""
    say(ann, *"abcdef")
    age(3, "a")
    assert command("--older-than", "2d").startswith(
        "pruned: 1 entries, 1 notifications, 0 receipts; longest transaction"
    )
    assert command("--keep", "2", "--batch", "10").startswith("pruned: 3 entries, 3 notifications")


def test_the_settings_are_its_defaults(ann: Any, settings: Any) -> None:
    """An option goes before them."""
    say(ann, *"abcdef")
    age(3, *"ab")
    settings.LIVEBELL = {"RETAIN_DAYS": 2, "RETAIN_PER_STREAM": 3}
    assert "pruned: 0 " in command("--keep", "100", "--older-than", "1w")
    assert "pruned: 3 " in command()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "--older-than or --keep"),
        *[
            (["--older-than", text], "--older-than")
            for text in ("90", "0d", "d", "-1d", "90 days", "1e9w", "101w0", "٣d", "99999w")
        ],
        *[(["--keep", text], "--keep") for text in ("0", "-1", "many", "1.5", "9" * 20, "")],
        *[(["--keep", "1", "--batch", text], "--batch") for text in ("0", "-1", "x", "1000000")],
    ],
)
def test_nonsense_is_refused_by_name(words: list[str], named: str, ann: Any) -> None:
    """And nothing is deleted."""
    say(ann, *"abc")
    with pytest.raises(CommandError, match=named):
        command(*words)
    assert titles(ann) == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("word", "days"), [("1s", 1 / 86_400), ("90m", 1 / 16), ("36h", 1.5), ("1.5d", 1.5), ("2w", 14)]
)
def test_ages_are_read(word: str, days: float, ann: Any) -> None:
    """Seconds, minutes, hours, days, weeks."""
    say(ann, "older", "younger")
    age(days * 1.1, "older")
    if days > 0.01:
        age(days * 0.9, "younger")
    command("--older-than", word)
    assert titles(ann) == ["younger"]


# Open pages.


@pytest.mark.parametrize("bus", ["database", "redis"])
def test_open_pages_count_what_is_left(bus: str, ann: Any, request: pytest.FixtureRequest, settings: Any) -> None:
    """Within a second of the prune, on sockets and on a long poll, though nothing was published and nothing marked."""
    chosen = on_bus(request, bus)
    settings.LIVEBELL = {"BUS": bus} | ({"REDIS_URL": chosen["redis"], "PREFIX": chosen["PREFIX"]} if chosen else {})
    cookie = log_in(ann)
    say(EVERYONE, *[f"{n}" for n in range(30)])
    with serving(**chosen) as site, Page(site, cookie) as page, Page(site, log_in(person("bob"))) as other:
        notify(ann, "own")
        page.until(lambda: page.titles == ["own"])
        page.badge(31)
        answer = Polling(site, cookie, page)
        time.sleep(0.3)  # a request can't be seen to wait
        prune(keep=10)
        assert page.badge(11) < 1
        assert other.badge(0) < 1, "who came later had nothing unread anyway"
        snapshots = [frame["snapshot"]["unread"] for frame in answer.result() if frame["type"] == "snapshot"]
        assert snapshots[-1] == 11
        assert page.client.resets == 1
    assert unread(ann) == recount(ann) == 11


class Polling(threading.Thread):
    """A long poll from a page's position."""

    def __init__(self, site: Any, cookie: str, page: Page) -> None:
        super().__init__()
        assert page.client.snapshot is not None
        query = {"epoch": page.client.epoch, "cursor": json.dumps(page.client.cursor), "wait": "10"}
        query["rev"] = str(page.client.snapshot["rev"])
        self.ask = lambda: httpx.get(
            f"{site.url}/livebell/socket/", params=query, cookies={"sessionid": cookie}, trust_env=False, timeout=15
        )
        self.start()

    def run(self) -> None:
        self.frames = self.ask().json()["frames"]

    def result(self) -> list[dict[str, Any]]:
        self.join(20)
        return self.frames


def test_who_is_behind_the_floor_gets_a_reset(ann: Any) -> None:
    """Away while it was pruned beyond the position: starts over, with the right number."""
    with serving() as site, Page(site, log_in(ann)) as page:
        say(ann, *"abc")
        page.badge(3)
        page.close()
        say(ann, *[f"{n}" for n in range(20)])
        prune(keep=5)
        page.open()
        page.until(lambda: page.client.resets == 2)
        page.badge(5)
        notify(ann, "after")
        page.badge(6)
        page.close()
        say(ann, "x")
        prune(keep=5)
        page.open()
        page.until(lambda: "x" in page.titles)
        assert page.client.resets == 2, "not behind it: goes on"


# Under load.

PUBLISHER = """
import sys, time, random
from django.contrib.auth import get_user_model
from livebell import EVERYONE, notify, mark_read, unread
users = list(get_user_model().objects.order_by("pk"))
slowest, until = 0, time.monotonic() + float(sys.argv[1])
while time.monotonic() < until:
    began = time.monotonic()
    notify(random.choice([EVERYONE, *users]), "under load")
    slowest = max(slowest, time.monotonic() - began)
    if random.random() < 0.05:
        mark_read(random.choice(users))
    time.sleep(0.005)
print(slowest)
"""


@pytest.mark.slow
def test_pruning_under_load_is_felt_by_nobody(ann: Any) -> None:
    """Two processes publish and mark, pages are open, and the command prunes again and again: the badges are the database's
    and the slow recount's, no transaction of the prune takes 100 ms, and no publisher waits long."""
    users = [ann, person("bob"), person("eve")]
    for n in range(3000):
        store.number(store.put({"title": f"{n}", "key": None}, ["all", f"user:{ann.pk}"]).rows)
    code = "import sys; sys.argv = ['x', '8']\nimport django; django.setup()\n" + PUBLISHER
    with serving() as site, Page(site, log_in(ann)) as page, Page(site, log_in(users[1])) as other:
        publishers = [
            subprocess.Popen(
                [sys.executable, "-c", code], env=environment(), cwd=ROOT, stdout=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]
        said = []
        while any(process.poll() is None for process in publishers):
            said.append(command("--keep", "200"))
        slowest = [float(process.communicate()[0]) for process in publishers]
        deliver()
        said.append(command("--keep", "200"))
        for one, user in ((page, ann), (other, users[1])):
            one.badge(recount(user))
    assert [unread(user) for user in users] == [recount(user) for user in users]
    longest = max(int(line.split()[-2]) for line in said)
    pruned = sum(int(line.split()[1]) for line in said)
    print(
        f"{connection.vendor}: {len(said)} runs, {pruned} entries, longest transaction {longest} ms, publish {max(slowest):.3f} s"
    )
    assert pruned > 5000
    assert longest < 100
    assert Notification.objects.filter(entry=None).count() == 0

"""Nobody ever gets what is somebody else's, however many there are at once (T29)."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from typing import Any

import pytest
from django.contrib.auth.models import Group
from websockets.asyncio.client import connect

from livebell import EVERYONE, notify
from tests.helpers import people
from tests.security.servers import PATH, Channels, Framed, Watched
from tests.site import log_in

pytestmark = pytest.mark.django_db(transaction=True)

GROUPS = 10
END = "everybody has got everything"


class Crowd(threading.Thread):
    """Sockets of many users in one event loop; ``heard`` is every title that came, by user."""

    def __init__(self, site: Watched, cookies: dict[int, str], sockets: int, own: dict[int, set[str]]) -> None:
        super().__init__(daemon=True)
        self.site, self.cookies, self.sockets, self.own = site, cookies, sockets, own
        self.heard: dict[int, list[set[str]]] = {user: [] for user in cookies}
        self.raw: dict[int, list[str]] = {user: [] for user in cookies}
        self.ready = threading.Semaphore(0)
        self.failed: list[str] = []

    def run(self) -> None:
        asyncio.run(self._all())

    async def _all(self) -> None:
        slots = asyncio.Semaphore(40)
        await asyncio.gather(*(self._one(user, slots) for user in self.cookies for _ in range(self.sockets)))

    async def _one(self, user: int, slots: asyncio.Semaphore) -> None:
        titles: set[str] = set()
        self.heard[user].append(titles)
        headers = {"Cookie": f"sessionid={self.cookies[user]}"}
        uri = f"ws://127.0.0.1:{self.site.port}{PATH}"
        try:
            async with slots:
                opening = connect(
                    uri, origin=self.site.url, additional_headers=headers, compression=None, open_timeout=60
                )  # type: ignore[arg-type]
                socket = await opening.__aenter__()
            await socket.send('{"type": "hello"}')
            while END not in titles or not self.own[user] <= titles:  # streams keep no order between them
                text = await asyncio.wait_for(socket.recv(), 40)
                self.raw[user].append(str(text))
                frame = json.loads(text)
                if frame["type"] == "reset":
                    self.ready.release()
                titles |= {entry["title"] for entry in frame.get("entries", [])}
            await opening.__aexit__(None, None, None)
        except Exception as error:
            self.failed.append(repr(error))
            self.ready.release()


@pytest.mark.parametrize(
    ("server", "users", "sockets", "count"), [(Framed, 200, 3, 2000), (Channels, 60, 2, 600)], ids=str
)
def test_foreign_canaries(server: type[Watched], users: int, sockets: int, count: int) -> None:
    """Many users, several sockets each, thousands of notifications to single ones, to several and to groups, each with a
    canary that names who may read it: every socket hears all of its own canaries and not one of another's."""
    members = people(users)
    groups = [Group.objects.create(name=f"g{number}") for number in range(GROUPS)]
    for number, group in enumerate(groups):
        group.user_set.set(members[number::GROUPS])
    own: dict[int, set[str]] = {user.pk: set() for user in members}
    chance = random.Random(29)
    with server() as site:
        crowd = Crowd(site, {user.pk: log_in(user) for user in members}, sockets, own)
        crowd.start()
        for _ in range(users * sockets):
            assert crowd.ready.acquire(timeout=60)
        for number in range(count):
            canary = f"canary-{number}"
            if number % 10 == 0:
                index = chance.randrange(GROUPS)
                readers, audience = members[index::GROUPS], groups[index]
            else:
                readers = chance.sample(members, 3) if number % 10 == 1 else [chance.choice(members)]
                audience = readers if len(readers) > 1 else readers[0]
            notify(audience, canary, body=f"{canary}-body")
            for user in readers:
                own[user.pk].add(canary)
        notify(EVERYONE, END)
        crowd.join(90)
    assert crowd.failed == []
    for pk, heard in crowd.heard.items():
        for titles in heard:
            assert titles - {END} - own[pk] == set(), "foreign canaries"
            assert own[pk] - titles == set(), "lost ones"
        assert foreign_bodies(crowd.raw[pk], own[pk]) == []


def foreign_bodies(texts: list[str], own: set[str]) -> list[Any]:
    """Anywhere in any frame, not only where titles are looked for."""
    return [
        word
        for text in texts
        for word in text.replace('"', " ").split()
        if word.endswith("-body") and word[:-5] not in own
    ]

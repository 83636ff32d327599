"""Pages from gunicorn and the socket from uvicorn, as the seed has them: two processes with a Redis between, one bell."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from livebell import unread
from tests.browser import Person
from tests.helpers import person
from tests.site import Pages, Site

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("bus", ["redis", "core", "pubsub"])
def test_pages_and_sockets_apart(bus: str, browser: Browser, redis_server: Any, transactional_db: None) -> None:
    """A view under gunicorn publishes; the page, whose socket is uvicorn's, shows it within 150 ms, with nothing reloaded."""
    alice, bob = person("alice"), person("bob")
    chosen: dict[str, Any] = {"bus": "redis", "redis": redis_server.url, "PREFIX": f"split{time.time_ns()}"}
    if bus != "redis":
        chosen = {"bus": "channel-layer", "layer": bus, "redis": redis_server.url}
    pages = Pages(**chosen)
    site = Site(**chosen, ORIGINS=[pages.url])
    with site, Pages.at(pages.port, **chosen, SOCKET_URL=f"{site.url}/livebell/socket/"):
        people = [Person(browser, user) for user in (alice, bob)]
        tabs = [person.tab(pages.url) for person in people]
        born = tabs[0].ask("livebell.born")
        with httpx.Client(base_url=pages.url) as http:
            http.get("/send/alice/first, which opens connections/")
            tabs[0].badge(1)
            late = []
            for number in (2, 3, 4):
                began = time.time()
                http.get(f"/send/alice/{number}/")
                late.append(tabs[0].shown_at(number) - began)
        assert min(late) < 0.15, late
        assert tabs[0].ask("livebell.born") == born
        assert unread(alice) == tabs[0].unread == 4
        tabs[1].badge(0)
        for one in people:
            one.context.close()
        assert all(tab.wrong == [] for tab in tabs)

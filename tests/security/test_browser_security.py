"""In a real Chromium, under a strict Content Security Policy with Trusted Types: nothing that anybody writes is executed,
another site's page gets nothing, and the next one at this computer sees nothing (T2, T10, T11, T30)."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from playwright.sync_api import Browser

from livebell import notify
from livebell.models import Notification
from tests.browser import BELL, ROOT, Person, Tab, chromium_browser
from tests.helpers import person
from tests.security.payloads import BIDI, PAYLOADS, URLS
from tests.site import Site, serving

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with pytest.MonkeyPatch.context() as patch, chromium_browser(chromium) as running:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # as in tests/test_browser.py
        yield running


@pytest.fixture
def site(transactional_db: None) -> Iterator[Site]:
    with serving(ADMIN_BELL=True) as running:
        yield running


@pytest.fixture
def alice(transactional_db: None) -> Any:
    return person("alice", is_staff=True, is_superuser=True)


@pytest.fixture
def bob(transactional_db: None) -> Any:
    return person("bob")


Enter = Callable[..., Person]


@pytest.fixture
def enter(browser: Browser) -> Iterator[Enter]:
    people: list[Person] = []

    def opened(user: Any, **options: Any) -> Person:
        people.append(Person(browser, user, **options))
        return people[-1]

    yield opened
    for one in people:
        one.context.close()


# Scripts


ARMED = """
window.executed = [];
window.xss = (what) => { executed.push(String(what)); };
for (const name of ["alert", "confirm", "prompt", "print"]) window[name] = () => { executed.push(name); };
"""

ELEMENTS = f"""(() => {{
    const inside = [...{ROOT}.querySelectorAll("*")].map((node) => node.localName);
    const bad = ["script", "img", "iframe", "object", "embed", "style", "base", "form", "meta", "math", "video", "audio", "input"];
    return bad.filter((name) => inside.includes(name));
}})()"""

LINKS = f"""[...{ROOT}.querySelectorAll("a[href]")].map((node) => node.protocol).filter((name) => !/^https?:$/.test(name))"""
HANDLERS = f"""[...{ROOT}.querySelectorAll("*")].flatMap((node) => node.getAttributeNames()).filter((name) => /^on|^srcdoc$|^formaction$/.test(name))"""


def store_all(user: Any, team: Group) -> None:
    """A notification for each payload, with it in every field that takes text. What notify() would refuse as an address is
    written behind its back: the page must not rely on that."""
    for number, payload in enumerate(PAYLOADS):
        notify(
            user if number % 2 else team, payload[:200], body=payload, kind=payload[:100], actor=payload[:200], key=payload[:200],
            data={"actions": [{"label": payload, "url": "/"}, payload, {"label": "x", "url": payload}], payload: payload},
        )  # fmt: skip
    urls = [*URLS, *PAYLOADS]
    for notification, url in zip(Notification.objects.order_by("pk"), urls, strict=False):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE livebell_notification SET url = %s WHERE id = %s", [url, notification.pk])
            cursor.execute(
                "UPDATE livebell_notification SET data = %s WHERE id = %s",
                [json.dumps({"actions": [{"label": url, "url": url}]}), notification.pk],
            )


def quiet(tab: Tab) -> None:
    """Nothing was executed, nothing tried and was stopped by the policy."""
    tab.page.wait_for_timeout(200)  # what an event handler of a broken image would take
    assert tab.ask("window.executed") == []
    assert tab.wrong == []
    assert tab.violations == []


def arm(page: Any) -> None:
    page.add_init_script(ARMED)


def test_no_payload_is_executed(site: Site, alice: Any, enter: Enter) -> None:
    """Sixty payloads in title, body, url, kind, data, actor, user name and group name: live in the panel and in toasts,
    from the list, on the list page and in the admin: 0 executed, 0 violations, no element and no address of theirs."""
    assert len(PAYLOADS) >= 60
    team = Group.objects.create(name=PAYLOADS[0][:150])
    alice.username, alice.first_name = PAYLOADS[1][:150], PAYLOADS[2][:150]
    alice.save()
    alice.groups.add(team)
    someone = enter(alice)
    tab = someone.tab(f"{site.url}/?toasts=1&title=1", before=arm)
    for payload in PAYLOADS[:3]:
        notify(alice, payload, body=payload, actor=alice)
    tab.until(f"{ROOT}.querySelectorAll('.lb-toast').length", 3)
    assert tab.ask(ELEMENTS) == []
    tab.open_panel()
    store_all(alice, team)
    tab.badge(len(PAYLOADS) + 3)
    tab.page.reload()  # the addresses that were written behind notify()'s back
    tab.open_panel()
    for _ in range(6):  # page after page of the list
        tab.ask(f"{ROOT}.querySelector('.lb-list').scrollTo(0, 1e6)")
        tab.page.wait_for_timeout(100)
        tab.until(f"{BELL}.panel.busy", False)
    tab.until(f"{ROOT}.querySelectorAll('.lb-item').length", len(PAYLOADS) + 3)
    assert set(PAYLOADS) >= {text for text in tab.texts(".lb-item .lb-body") if text in PAYLOADS} != set()
    assert (tab.ask(ELEMENTS), tab.ask(LINKS), tab.ask(HANDLERS)) == ([], [], [])
    quiet(tab)


def test_no_payload_is_executed_on_the_pages(site: Site, alice: Any, enter: Enter) -> None:
    """The same on the list page, page after page, and in the admin: its list, its search, a single notification, its bell."""
    team = Group.objects.create(name=PAYLOADS[0][:150])
    alice.username = PAYLOADS[1][:150]
    alice.save()
    alice.groups.add(team)
    store_all(alice, team)
    someone = enter(alice)
    tab = someone.tab(f"{site.url}/livebell/", state="", before=arm)
    for _ in range(10):
        quiet(tab)
        links = tab.ask("[...document.querySelectorAll('main a[href]')].map((node) => node.protocol)")
        assert set(links) <= {"http:", "https:"}
        assert tab.page.locator("main :is(script, img, iframe, object, embed, video, audio, math)").count() == 0
        older = tab.page.locator("a[rel=next]")
        if not older.count():
            break
        older.click()
    pages = ["admin/livebell/notification/", "admin/livebell/notification/?q=script", "admin/"]
    pages += [
        f"admin/livebell/notification/{pk}/change/" for pk in Notification.objects.values_list("pk", flat=True)[:6]
    ]
    for path in pages:
        tab.page.goto(f"{site.url}/{path}")
        assert tab.page.locator("#user-tools").count() == 1, "logged in to the admin"
        tab.page.wait_for_timeout(50)
        assert (tab.ask("window.executed"), tab.wrong) == ([], [])
        assert not [
            link
            for link in tab.ask("[...document.querySelectorAll('#content a[href]')].map((a) => a.protocol)")
            if "script" in link
        ]
    tab.state("open")
    tab.open_panel()
    assert (tab.ask(ELEMENTS), tab.ask("window.executed"), tab.wrong) == ([], [], [])


# Spoofing


def test_direction_stays_inside(site: Site, alice: Any, enter: Enter) -> None:
    """Overrides and isolates without an end (RLO and its like), zero-width characters: each field is a direction of its own,
    so that what stands beside it stays where it is."""
    for text in BIDI:
        notify(
            alice,
            f"a{text}b",
            body=f"c{text}d",
            actor=f"e{text}f",
            data={"actions": [{"label": f"g{text}h", "url": "/"}]},
        )
    someone = enter(alice)
    tab = someone.tab(site.url)
    tab.open_panel()
    for field in ("link", "body", "actor", "action"):
        assert tab.page.locator(f"live-bell .lb-item .lb-{field}").count() == len(BIDI)
        isolated = f"[...{ROOT}.querySelectorAll('.lb-item .lb-{field}')].every(isolates)"
        assert tab.ask(f"{{ const isolates = {ISOLATES}; {isolated} }}"), field
    time_is_right = f"""[...{ROOT}.querySelectorAll(".lb-item")].every((row) => {{
        const box = (name) => row.querySelector(name).getBoundingClientRect();
        return box(".lb-actor").right <= box(".lb-time").left + 1;
    }})"""
    assert tab.ask(time_is_right), "the time stands behind the name"
    tab.page.goto(f"{site.url}/livebell/")
    for field in ("link", "body", "actor"):
        assert tab.ask(
            f"{{ const isolates = {ISOLATES}; [...document.querySelectorAll('.lb-item .lb-{field}')].every(isolates) }}"
        ), field
    tab.fine()


ISOLATES = """(node) => {
    const style = getComputedStyle(node);
    return style.unicodeBidi.startsWith("isolate") || style.unicodeBidi === "plaintext" || ["block", "flex", "grid"].includes(style.display);
}"""


# Another site's page


EVIL = """<!doctype html><title>evil</title><script>
const target = new URLSearchParams(location.search).get("target");
window.got = [];
window.refused = [];
const ws = new WebSocket(target.replace("http", "ws"), "livebell.v1");
ws.onopen = () => ws.send('{"type": "hello"}');
ws.onmessage = ({ data }) => got.push(data);
ws.onclose = () => refused.push("socket");
const source = new EventSource(target, { withCredentials: true });
source.onmessage = ({ data }) => got.push(data);
source.onerror = () => refused.push("stream");
for (const mode of ["cors", "no-cors"])
  for (const path of [target + "?wait=1", new URL("/livebell/api/items/", target).href, new URL("/livebell/api/frames/", target).href])
    fetch(path, { credentials: "include", mode }).then((answer) => answer.text()).then((text) => text && got.push(text), () => refused.push("fetch"));
fetch(new URL("/livebell/api/mark/", target), { method: "POST", credentials: "include", mode: "no-cors", body: '{"through": {"all": 9}}' })
  .then(() => refused.push("mark"), () => refused.push("mark"));
const frame = document.createElement("iframe");
frame.src = new URL("/", target);
document.documentElement.append(frame);
</script>"""


@contextmanager
def evil_site(directory: Path) -> Iterator[str]:
    """A page on another port of the same host: to cookies the same site, to us another one."""
    (directory / "index.html").write_text(EVIL)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_page_on_another_port_gets_nothing(site: Site, alice: Any, enter: Enter, tmp_path: Path) -> None:
    """Cookies don't tell ports apart, so that the visitor's session goes with each of its requests. It opens a WebSocket, an
    event stream with credentials, a long poll, the list and the frames, marks all as read, and frames the page: it gets 0
    frames and 0 bytes, and nothing is marked."""
    notify(alice, "secret")
    with evil_site(tmp_path) as evil:
        tab = enter(alice).tab(f"{evil}/?target={site.url}/livebell/socket/", state="")
        tab.until("refused.includes('socket') && refused.includes('stream') && refused.includes('mark')")
        tab.until("refused.filter((what) => what === 'fetch').length >= 3")
        notify(alice, "secret too")
        tab.page.wait_for_timeout(300)
        assert tab.ask("window.got") == []
        said = site.log.read_text()
    refusals = [line for line in said.splitlines() if "/livebell/socket/" in line and " 403" in line]
    assert len(refusals) >= 4, "socket, stream, two polls"
    assert "accepted" not in said
    assert Notification.objects.count() == 2
    page = enter(alice).tab(site.url)
    page.badge(2)


# A shared computer


SECRET = "Alices-secret"
SHOWN = f"""(() => {{
    const root = document.querySelector("live-bell")?.shadowRoot;
    const stores = [localStorage, sessionStorage].map((store) => JSON.stringify({{ ...store }}));
    return document.documentElement.outerHTML.includes({SECRET!r}) || !!root?.innerHTML.includes({SECRET!r})
        || stores.some((text) => text.includes({SECRET!r}));
}})()"""
DATABASES = "indexedDB.databases().then((all) => all.length)"
CACHES = "caches.keys().then((all) => all.length)"
OVERHEARD = """new Promise((done) => {
    const heard = [];
    const names = performance.getEntriesByType("resource").length ? [%s] : [%s];
    for (const name of names) new BroadcastChannel(name).onmessage = ({ data }) => heard.push(JSON.stringify(data));
    for (const name of names) new BroadcastChannel(name).postMessage({ ask: true });
    setTimeout(() => done(heard), 500);
})"""


def test_the_next_one_at_this_computer(site: Site, alice: Any, bob: Any, enter: Enter) -> None:
    """Alice reads, in two tabs, one with the panel open, one with it closed again, and logs out in a third; bob logs in, in
    the same profile. Of her rows nothing is left: not in any tab's document, not in any storage, not to be had from another
    tab over the channel, and not on going back."""
    for number in range(5):
        notify(alice, f"{SECRET} {number}", body=SECRET, actor=SECRET)
    someone = enter(alice)
    opened, closed = (someone.tab(f"{site.url}/?toasts=1&title=1") for _ in range(2))
    for tab in (opened, closed):
        tab.badge(5)
        tab.open_panel()
        assert tab.ask(SHOWN)
    closed.page.keyboard.press("Escape")
    moving = someone.tab(site.url)
    moving.open_panel()
    listed = someone.tab(f"{site.url}/livebell/", state="")
    assert listed.ask(SHOWN)
    her_key = opened.ask(f"{BELL}.dataset.userKey")
    moving.page.goto(f"{site.url}/log-out/")
    moving.page.goto(f"{site.url}/log-in/bob/")
    notify(alice, f"{SECRET} afterwards")
    notify(bob, "his")
    moving.badge(1)
    for tab in (opened, closed):
        tab.state("ended")
        tab.until(SHOWN, False, 3)
        tab.badge(0)
    listed.page.reload()
    assert not listed.ask(SHOWN)
    name = json.dumps(f"livebell:{her_key}")
    assert not [text for text in moving.ask(OVERHEARD % (name, name)) if SECRET in text]
    assert moving.ask(DATABASES) == moving.ask(CACHES) == 0
    his_key = moving.ask(f"{BELL}.dataset.userKey")
    assert her_key != his_key
    for tab in (listed, moving):
        tab.page.goto(f"{site.url}/livebell/")
        tab.page.goto(site.url)
    for _ in range(4):
        moving.page.go_back(wait_until="commit")
        moving.page.wait_for_timeout(700)
        assert not moving.ask(SHOWN), moving.page.url


def test_going_back_to_a_page_of_the_last_one(site: Site, alice: Any, bob: Any, enter: Enter) -> None:
    """Straight back to a page that alice left with the panel open: it may come out of the back/forward cache as it was left;
    within a second it has found out that she is gone."""
    notify(alice, SECRET, body=SECRET)
    someone = enter(alice)
    tab = someone.tab(site.url)
    tab.open_panel()
    assert tab.ask(SHOWN)
    tab.page.goto(f"{site.url}/log-out/")
    tab.page.goto(f"{site.url}/log-in/bob/")
    notify(bob, "his")
    tab.badge(1)
    began = time.monotonic()
    tab.page.go_back(wait_until="commit")
    tab.page.go_back(wait_until="commit")
    tab.until(SHOWN, False, 5)
    assert time.monotonic() - began < 3
    tab.page.wait_for_timeout(500)
    assert not tab.ask(SHOWN)

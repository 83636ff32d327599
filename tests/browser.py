"""What the browser tests drive: a Chromium, people in it, and their tabs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.services.chromium import CHROMIUM_ARGS
from tests.site import log_in

WATCH = """
window.livebell = { shown: {}, titles: [], violations: [], born: Math.random() };
document.addEventListener("livebell:snapshot", ({ detail }) => (livebell.shown[detail.unread] ??= Date.now()));
document.addEventListener("livebell:notification", ({ detail }) => livebell.titles.push(detail.title));
document.addEventListener("securitypolicyviolation", (event) => livebell.violations.push(event.violatedDirective));
"""
"""Writes down what the page's own scripts could hear."""

BELL = "document.querySelector('live-bell')"
ROOT = f"{BELL}.shadowRoot"
BADGE = f"(() => {{ const b = {ROOT}.querySelector('.lb-badge'); return b.hidden ? '' : b.textContent }})()"
FOCUS = f"(() => {{ const a = {ROOT}.activeElement; return a ? a.className + '|' + a.textContent.trim() : '' }})()"


class Tab:
    """One tab. Everything that nobody wants to happen in it is written down in ``wrong``."""

    def __init__(self, context: BrowserContext, url: str, before: Callable[[Page], object] | None = None) -> None:
        self.page = context.new_page()
        self.wrong: list[str] = []
        self.sockets: list[list[str | bytes]] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.wrong.append(dialog.message), dialog.dismiss()))
        self.page.on("console", lambda message: "Content Security" in message.text and self.wrong.append(message.text))
        self.page.on("websocket", self._socket)
        self.page.add_init_script(WATCH)
        if before:
            before(self.page)
        self.page.goto(url)

    def _socket(self, socket: Any) -> None:
        frames: list[str | bytes] = []
        self.sockets.append(frames)
        socket.on("framereceived", lambda frame: frames.append(frame))

    def ask(self, script: str) -> Any:
        return self.page.evaluate(script)

    def until(self, script: str, wanted: Any = True, seconds: float = 10) -> float:
        """Wait until the page answers so; returns how long it took."""
        return until(self.page, lambda: self.ask(script), wanted, seconds)

    def badge(self, text: int | str, seconds: float = 10) -> float:
        """Wait until the badge says so; 0 is no badge."""
        return self.until(BADGE, str(text or ""), seconds)

    def state(self, name: str, seconds: float = 10) -> float:
        return self.until(f"{BELL}.bell.state", name, seconds)

    @property
    def unread(self) -> int:
        return self.ask(f"{BELL}.bell.unread")

    @property
    def leads(self) -> bool:
        return self.ask(f"!!{BELL}.bell.tabs?.leads")

    @property
    def titles(self) -> list[str]:
        """Of the notifications that the page was told of, in that order."""
        return self.ask("livebell.titles")

    @property
    def violations(self) -> list[str]:
        return self.ask("livebell.violations")

    def shown_at(self, unread: int) -> float:
        """When the number was first this one, in seconds since 1970."""
        self.until(f"!!livebell.shown[{unread}]")
        return self.ask(f"livebell.shown[{unread}]") / 1000

    def open_panel(self) -> None:
        self.page.click("live-bell .lb-button")
        self.until(f"{ROOT}.querySelector('.lb-panel').matches(':popover-open')")
        self.until(f"{BELL}.panel.busy", False)

    def texts(self, selector: str) -> list[str]:
        return self.page.locator(f"live-bell {selector}").all_inner_texts()

    def fine(self) -> None:
        assert self.wrong == []
        assert self.violations == []


class Person:
    """A browser of its own, logged in as somebody."""

    def __init__(self, browser: Browser, user: Any, **options: Any) -> None:
        self.user = user
        self.context = browser.new_context(**options)
        self.tabs: list[Tab] = []
        self.log_in(user)

    def log_in(self, user: Any) -> None:
        cookie = {"name": "sessionid", "value": log_in(user), "domain": "127.0.0.1", "path": "/"}
        self.context.add_cookies([cookie])  # type: ignore[list-item]

    def tab(self, url: str, *, state: str = "open", before: Callable[[Page], object] | None = None) -> Tab:
        tab = Tab(self.context, url, before)
        self.tabs.append(tab)
        if state:
            tab.state(state)
        return tab


def until(page: Page, answer: Callable[[], Any], wanted: Any = True, seconds: float = 10) -> float:
    began = time.monotonic()
    while (found := answer()) != wanted:
        assert time.monotonic() - began < seconds, f"{found!r}, not {wanted!r}, after {seconds} s"
        page.wait_for_timeout(10)
    return time.monotonic() - began


@contextmanager
def chromium_browser(path: str, *arguments: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*CHROMIUM_ARGS, *arguments])
        yield browser
        browser.close()

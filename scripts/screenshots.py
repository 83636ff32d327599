"""Take docs/screenshots from the demo: every width, light, dark and from right to left, and the less happy states."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "screenshots"
sys.path[:0] = [str(ROOT), str(ROOT / "demo")]
HEIGHTS = {320: 640, 768: 720, 1280: 760}
MOST = 60_000
"""Bytes of one picture."""

ACTIONS = {"actions": [{"label": "Clean up now", "url": "/"}, {"label": "Details", "url": "/"}]}
FULL = "92 % of 200 GB used. The nightly cleanup runs at 02:00."
ADA = "Ada Lovelace"
SEED: list[tuple[int, dict[str, Any]]] = [  # age in minutes
    (3100, {"title": "Weekly report is ready", "url": "/", "kind": "report"}),
    (1700, {"title": "Order 15 was paid", "body": "€ 1,250.00 by bank transfer", "url": "/", "level": "success"}),
    (1500, {"title": "Grace Hopper joined your team", "actor": "Grace Hopper", "url": "/"}),
    (140, {"title": "Disk almost full on db-2", "body": FULL, "level": "warning", "data": ACTIONS}),
    (12, {"title": "Deploy failed", "body": "Step 3 of 5: migrations", "level": "error", "actor": "CI", "url": "/"}),
    (2, {"title": "Ada mentioned you", "body": "“Could you look at the second table?”", "actor": ADA, "url": "/"}),
]
ARABIC: list[tuple[int, dict[str, Any]]] = [
    (1700, {"title": "تم دفع الطلب 15", "body": "1,250.00 يورو بتحويل مصرفي", "level": "success", "url": "/"}),
    (140, {"title": "القرص ممتلئ تقريبًا على db-2", "body": "استُخدم 92 % من 200 غيغابايت.", "level": "warning"}),
    (12, {"title": "فشل النشر", "body": "الخطوة 3 من 5", "level": "error", "actor": "خادم البناء", "url": "/"}),
    (2, {"title": "أشارت إليك ليلى", "body": "هل يمكنك مراجعة الجدول الثاني؟", "actor": "ليلى", "url": "/"}),
]


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        os.environ["DATABASE_URL"] = f"sqlite:///{directory}/shots.sqlite3"
        os.environ |= {"DJANGO_SETTINGS_MODULE": "demo.settings", "DJANGO_ALLOW_ASYNC_UNSAFE": "true"}
        with demo(Path(directory)) as url:
            seed()
            take_all(url)
    large = [path.name for path in TARGET.glob("*.png") if path.stat().st_size > MOST]
    if large:
        sys.exit(f"larger than {MOST} bytes: {', '.join(large)}")


@contextmanager
def demo(directory: Path) -> Iterator[str]:
    from tests.services.process import free_port

    port = free_port()
    log = (directory / "log").open("w+")
    process = subprocess.Popen([sys.executable, str(ROOT / "demo" / "run.py"), str(port)], stdout=log, stderr=log)
    try:
        while "open http" not in Path(log.name).read_text():
            if process.poll() is not None:
                sys.exit(Path(log.name).read_text())
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def seed() -> None:
    import django

    django.setup()
    from demo import accounts

    for username, texts in (("alice", SEED), ("bob", ARABIC)):
        user = accounts.find(username)
        for minutes, content in texts:
            send(user, minutes, content)
        read(user, 2 if username == "alice" else 1)


def send(user: Any, minutes: int, content: dict[str, Any]) -> None:
    from django.utils import timezone

    from livebell import notify
    from livebell.models import Notification

    published = notify(user, **content)
    Notification.objects.filter(pk=published.id).update(created=timezone.now() - timedelta(minutes=minutes))


def read(user: Any, through: int) -> None:
    from livebell import api, store

    api.mark(user, store.Marking(through={f"user:{user.pk}": through}))


def take_all(url: str) -> None:
    from tests.browser import chromium_browser
    from tests.services import chromium_path

    TARGET.mkdir(exist_ok=True)
    for old in TARGET.glob("*.png"):
        old.unlink()
    with chromium_browser(chromium_path(), "--disable-lcd-text") as browser:
        shots = Shots(browser, url)
        for width in HEIGHTS:
            for name, options in (("light", {}), ("dark", {"color_scheme": "dark"}), ("rtl", {"locale": "ar"})):
                shots.panel(f"panel-{width}-{name}", width, **options)
        shots.admin("admin-1280-light", 1280)
        shots.admin("admin-768-dark", 768, color_scheme="dark")
        shots.page("list-1280-light", 1280, "/livebell/")
        shots.page("list-320-dark", 320, "/livebell/", color_scheme="dark")
        shots.page("list-768-rtl", 768, "/livebell/", locale="ar")
        shots.offline("offline-768-light", 768)
        shots.ended("ended-768-dark", 768, color_scheme="dark")
        shots.toasts("toasts-768-light", 768)
        shots.toasts("toasts-320-dark", 320, color_scheme="dark")
        shots.flood("flood-768-light", 768)


class Shots:
    """Opens a page of the demo as somebody, and takes pictures of it."""

    def __init__(self, browser: Any, url: str) -> None:
        self.browser, self.url = browser, url

    def open(self, width: int, path: str = "/", **options: Any) -> Any:
        from tests.browser import Tab

        viewport = {"width": width, "height": HEIGHTS[width]}
        context = self.browser.new_context(viewport=viewport, reduced_motion="reduce", **{"locale": "en-GB", **options})
        tab = Tab(context, self.url)
        tab.page.click(f"button[value={'bob' if options.get('locale') == 'ar' else 'alice'}]")
        tab.page.wait_for_selector("live-bell[state=open]")
        if path != "/":
            tab.page.goto(self.url + path)
            tab.state("open")
        return tab

    def save(self, tab: Any, name: str) -> None:
        picture = Image.open(BytesIO(tab.page.screenshot())).convert("RGB")
        picture = picture.quantize(256, kmeans=4, dither=Image.Dither.NONE)
        picture.save(TARGET / f"{name}.png", optimize=True)
        tab.page.context.close()
        print(name)

    def panel(self, name: str, width: int, **options: Any) -> None:
        tab = self.open(width, **options)
        tab.open_panel()
        self.save(tab, name)

    def toasts(self, name: str, width: int, **options: Any) -> None:
        tab = self.open(width, **options)
        notify_alice("Build passed", body="main, 4 min 12 s", level="success", url="/")
        notify_alice("Ada Lovelace mentioned you", url="/")
        tab.page.wait_for_selector(".lb-toast >> nth=1")
        self.save(tab, name)

    def flood(self, name: str, width: int, **options: Any) -> None:
        tab = self.open(width, **options)
        for number in range(23):
            notify_alice(f"Row {number} imported")
        tab.until("document.querySelector('live-bell').toasts.shown", 23)
        self.save(tab, name)

    def offline(self, name: str, width: int, **options: Any) -> None:
        tab = self.open(width, **options)
        tab.open_panel()
        tab.page.context.set_offline(True)
        tab.state("offline", 15)
        tab.until("!!document.querySelector('live-bell').shadowRoot.querySelector('.lb-note').textContent")
        self.save(tab, name)

    def ended(self, name: str, width: int, **options: Any) -> None:
        tab = self.open(width, **options)
        tab.open_panel()
        tab.ask("document.querySelector('live-bell').bell.link.env.end(4502)")
        self.save(tab, name)

    def page(self, name: str, width: int, path: str, **options: Any) -> None:
        self.save(self.open(width, path, **options), name)

    def admin(self, name: str, width: int, **options: Any) -> None:
        tab = self.open(width, "/admin/", **options)
        tab.open_panel()
        self.save(tab, name)


def notify_alice(title: str, **content: Any) -> None:
    from demo import accounts
    from livebell import notify

    notify(accounts.find("alice"), title, **content)


if __name__ == "__main__":
    main()

"""What docs/recipes says, done in a browser: the pages' own code blocks, with the libraries from npm."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from playwright.sync_api import Browser, Page, Route

from livebell import notify, push
from tests.browser import BELL, Person, Tab
from tests.conftest import had
from tests.helpers import person
from tests.services import Unavailable
from tests.site import Site, serving

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

RECIPES = Path(__file__).resolve().parent.parent / "docs" / "recipes"
PACKAGES = ("esbuild@0.28.2", "htmx.org@4.0.1", "alpinejs@3.17.5", "react@19.3.1", "react-dom@19.3.1", "vue@3.5.45")
BLOCK = re.compile(r"```(html|js|jsx)\n(.*?)```", re.DOTALL)
TEXT = "document.querySelector('main').innerText"


def install(directory: Path) -> Path:
    npm = shutil.which("npm")
    if not npm:
        raise Unavailable("no npm")
    command = [npm, "install", "--prefix", str(directory), "--no-audit", "--no-fund", "--loglevel=error", *PACKAGES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    if done.returncode:
        raise Unavailable((done.stderr.strip() or "no message").splitlines()[-1])
    return directory


@pytest.fixture(scope="module")
def npm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the libraries."""
    return had("npm's libraries for the recipes", lambda: install(tmp_path_factory.mktemp("npm")))


@pytest.fixture
def ann(transactional_db: None) -> Any:
    return person("ann")


@pytest.fixture
def site(transactional_db: None, redis_server: Any) -> Iterator[Site]:
    """Over Redis, because a push of one process reaches another only over a bus."""
    chosen = {"PREFIX": f"recipes{time.time_ns()}", "STREAMS": "tests.topics.orders"}
    here = {"BUS": "redis", "REDIS_URL": redis_server.url, **chosen}
    with override_settings(LIVEBELL=here), serving(bus="redis", redis=redis_server.url, **chosen) as running:
        yield running


def blocks(name: str) -> dict[str, str]:
    return dict(BLOCK.findall((RECIPES / f"{name}.md").read_text()))


def bundled(npm: Path, source: str) -> str:
    (npm / "recipe.jsx").write_text(source)
    command = [str(npm / "node_modules/.bin/esbuild"), "recipe.jsx", "--bundle", "--jsx=automatic", "--format=esm"]
    environment = os.environ | {"NODE_PATH": str(npm / "node_modules")}
    return subprocess.run(command, cwd=npm, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def opened(browser: Browser, ann: Any, site: Site) -> Iterator[Callable[..., Tab]]:
    """Opens the test page with a recipe in it; the policy only stays where the libraries can live with it."""
    someone = Person(browser, ann)

    def recipe(html: str, script: str, *, strict: bool = False) -> Tab:
        return someone.tab(f"{site.url}/", before=lambda page: prepare(page, site, html, script, strict))

    yield recipe
    someone.context.close()


def prepare(page: Page, site: Site, html: str, script: str, strict: bool) -> None:
    asked = count()

    def with_recipe(route: Route) -> None:
        answer = route.fetch()
        body = answer.text().replace("</main>", f'{html}</main><script type="module" src="/recipe.js"></script>')
        headers = {n: v for n, v in answer.headers.items() if strict or n != "content-security-policy"}
        route.fulfill(response=answer, body=body, headers=headers)

    page.route(f"{site.url}/", with_recipe)
    page.route("**/recipe.js", lambda route: route.fulfill(body=script, content_type="text/javascript"))
    page.route("**/order/", lambda route: route.fulfill(body=str(next(asked)), content_type="text/html"))


def test_plain(ann: Any, opened: Callable[..., Tab]) -> None:
    """A pushed value is in the page, as text, under the strictest policy; the number follows."""
    recipe = blocks("plain")
    tab = opened(recipe["html"], recipe["js"], strict=True)
    tab.until(f"{TEXT}.includes('0 unread')")
    notify(ann, "x")
    tab.until(f"{TEXT}.includes('1 unread')")
    push("order:15", "changed", {"status": "<b>paid</b>"})
    tab.until(f"{TEXT}.split('The order is <b>paid</b>.').length", 3)
    push("order:15", "changed", {"other": 1})
    push("order:15", "changed", "sent", key="status")
    tab.until(f"{TEXT}.split('The order is sent.').length", 3)
    tab.fine()


def test_htmx(ann: Any, opened: Callable[..., Tab], npm: Path) -> None:
    """A push makes the part fetch itself again, and so does a connection that comes back."""
    script = (npm / "node_modules/htmx.org/dist/htmx.min.js").read_text()
    tab = opened(blocks("htmx")["html"], script)
    number = "Number(document.getElementById('order').innerText)"
    tab.until("document.getElementById('order').hasAttribute('data-htmx-powered')")
    notify(ann, "which shows that the page is heard")
    tab.badge(1)
    push("order:15", "changed")
    tab.until(f"{number} >= 0")
    before = tab.ask(number)
    tab.ask(f"{BELL}.bell.link.lose()")
    tab.until(f"{number} > {before}")


@pytest.mark.parametrize("name", ["alpine", "react", "vue"])
def test_the_number_elsewhere(name: str, ann: Any, opened: Callable[..., Tab], npm: Path) -> None:
    """A component of the page shows the bell's number, from the start and after every change."""
    notify(ann, "before")
    recipe = blocks(name)
    source = recipe.get("jsx") or recipe.get("js") or 'import Alpine from "alpinejs"; Alpine.start();'
    tab = opened(recipe.get("html", '<div id="app"></div>'), bundled(npm, source))
    tab.until(f"{TEXT}.includes('1 unread')")
    notify(ann, "x")
    tab.until(f"{TEXT}.includes('2 unread')")
    assert tab.wrong == []


def test_without_the_bell(ann: Any, opened: Callable[..., Tab]) -> None:
    """The headless client, as docs/bell.md starts it."""
    script = dict(BLOCK.findall((RECIPES.parent / "bell.md").read_text()))["js"]
    tab = opened("", f"{script}\nwindow.headless = bell;", strict=True)
    tab.until("window.headless?.state", "open")
    notify(ann, "x")
    tab.until("headless.unread", 1)
    tab.ask("headless.readAll()")
    tab.until("headless.unread", 0)
    assert tab.ask("headless.list().then(({ items }) => items.map((item) => item.title))") == ["x"]
    tab.fine()

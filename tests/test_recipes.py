"""What docs/recipes says, done in a browser: the pages' own code blocks, with the libraries from npm."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from playwright.sync_api import Browser, Page, Route

from livebell import notify, push
from tests.browser import Person, Tab, chromium_browser
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


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with pytest.MonkeyPatch.context() as patch, chromium_browser(chromium) as running:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield running


@pytest.fixture
def ann(transactional_db: None) -> Any:
    return person("ann")


@pytest.fixture
def site(transactional_db: None) -> Iterator[Site]:
    streams = {"STREAMS": "tests.topics.orders"}
    with override_settings(LIVEBELL=streams), serving(**streams) as running:
        yield running


def blocks(name: str) -> dict[str, str]:
    return dict(BLOCK.findall((RECIPES / f"{name}.md").read_text()))


def bundled(npm: Path, source: str) -> str:
    (npm / "recipe.jsx").write_text(source)
    command = [str(npm / "node_modules/.bin/esbuild"), "recipe.jsx", "--bundle", "--jsx=automatic", "--format=esm"]
    environment = os.environ | {"NODE_PATH": str(npm / "node_modules")}
    return subprocess.run(command, cwd=npm, env=environment, capture_output=True, text=True, check=True).stdout


def opened(browser: Browser, user: Any, site: Site, html: str, script: str, *, strict: bool = False) -> Tab:
    """The test page with a recipe in it; the policy only stays where the libraries can live with it."""

    def page(route: Route) -> None:
        answer = route.fetch()
        body = answer.text().replace("</main>", f'{html}</main><script type="module" src="/recipe.js"></script>')
        headers = {n: v for n, v in answer.headers.items() if strict or n != "content-security-policy"}
        route.fulfill(response=answer, body=body, headers=headers)

    def before(tab: Page) -> None:
        tab.route(f"{site.url}/", page)
        tab.route("**/recipe.js", lambda route: route.fulfill(body=script, content_type="text/javascript"))
        tab.route("**/order/", lambda route: route.fulfill(body=json.dumps(len(asked)), content_type="text/html"))
        tab.on("request", lambda request: request.url.endswith("/order/") and asked.append(request.url))

    asked: list[str] = []
    return Person(browser, user).tab(f"{site.url}/", before=before)


def test_plain(browser: Browser, ann: Any, site: Site) -> None:
    """A pushed value is in the page, as text, under the strictest policy; the number follows."""
    recipe = blocks("plain")
    tab = opened(browser, ann, site, recipe["html"].replace("order:15", "order:15"), recipe["js"], strict=True)
    tab.until(f"{TEXT}.includes('0 unread')")
    notify(ann, "x")
    tab.until(f"{TEXT}.includes('1 unread')")
    push("order:15", "changed", {"status": "<b>paid</b>"})
    tab.until(f"{TEXT}.split('The order is <b>paid</b>.').length", 3)
    push("order:15", "changed", {"other": 1})
    push("order:15", "changed", "sent", key="status")
    tab.until(f"{TEXT}.split('The order is sent.').length", 3)
    tab.fine()


def test_htmx(browser: Browser, ann: Any, site: Site, npm: Path) -> None:
    """A push makes the part fetch itself again."""
    script = (npm / "node_modules/htmx.org/dist/htmx.min.js").read_text()
    tab = opened(browser, ann, site, blocks("htmx")["html"], script)
    order = "document.getElementById('order').innerText"
    number = f"Number({order}) || 0"
    tab.page.wait_for_load_state("networkidle")
    before = tab.ask(number)
    push("order:15", "changed")
    tab.until(f"{number} > {before}")


@pytest.mark.parametrize("name", ["alpine", "react", "vue"])
def test_the_number_elsewhere(name: str, browser: Browser, ann: Any, site: Site, npm: Path) -> None:
    """A component of the page shows the bell's number, from the start and after every change."""
    notify(ann, "before")
    recipe = blocks(name)
    source = recipe.get("jsx") or recipe.get("js") or 'import Alpine from "alpinejs"; Alpine.start();'
    tab = opened(browser, ann, site, recipe.get("html", '<div id="app"></div>'), bundled(npm, source))
    tab.until(f"{TEXT}.includes('1 unread')")
    notify(ann, "x")
    tab.until(f"{TEXT}.includes('2 unread')")
    assert tab.wrong == []

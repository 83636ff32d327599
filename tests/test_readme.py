"""A newcomer does what the README says, in a project made by ``startproject``, and has a live bell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.services import CHROMIUM_ARGS
from tests.services.process import Process

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()
SECTION = README.split("## Put it into your project")[1].split("## Send")[0]
SETTINGS, URLS, ASGI = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
(TAG,) = re.findall(r"```django\n(.*?)```", SECTION, re.DOTALL)
MIGRATE, SERVE = re.findall(r"^    (python manage.py migrate|uvicorn .*)$", SECTION, re.MULTILINE)

SITE = """
from django.contrib.auth import get_user_model, login
from django.http import HttpResponse
from django.shortcuts import render
from livebell import notify

def home(request):
    return render(request, "home.html")

def enter(request):
    login(request, get_user_model().objects.get(username="alice"))
    return HttpResponse("hello")

def send(request):
    notify(request.user, "Build passed", url="/builds/1/")
    return HttpResponse("sent")
"""
"""The newcomer's own: a page with a base template, a login, and something that happens."""


def environment() -> dict[str, str]:
    ours = ("DJANGO_SETTINGS_MODULE", "LIVEBELL_TEST_NAME", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if name not in ours}


def run(project: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=project, env=environment(), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """``startproject`` and the newcomer's own page; then the four edits, each added to the end of its file."""
    run(tmp_path, sys.executable, "-m", "django", "startproject", "mysite", ".")
    site = tmp_path / "mysite"
    (site / "views.py").write_text(SITE)
    (site / "templates").mkdir()
    (site / "templates" / "home.html").write_text(f"<!doctype html><title>Home</title><header>{TAG}</header>")
    own_settings = "\nTEMPLATES[0]['DIRS'] = [BASE_DIR / 'mysite' / 'templates']\n"
    own_urls = "\nfrom mysite import views\nurlpatterns += [path('', views.home), path('in/', views.enter), path('send/', views.send)]\n"
    for name, added in (("settings.py", own_settings + SETTINGS), ("urls.py", own_urls + URLS), ("asgi.py", ASGI)):
        with (site / name).open("a") as file:
            file.write("\n" + added)
    run(tmp_path, sys.executable, *MIGRATE.split()[1:])
    make = "from django.contrib.auth.models import User; User.objects.create_user('alice')"
    run(tmp_path, sys.executable, "manage.py", "shell", "-c", make)
    return tmp_path


class Server(Process):
    """What the README starts."""

    def __init__(self, project: Path) -> None:
        super().__init__("newcomer")
        self.project = project

    def command(self) -> list[str]:
        return [sys.executable, "-m", *SERVE.split(), "--port", str(self.port)]

    def popen_options(self) -> dict:
        return {**super().popen_options(), "cwd": self.project, "env": environment()}

    def answers(self) -> bool:
        return "Uvicorn running on" in self.log.read_text(errors="replace")


def test_the_checks_are_content(project: Path) -> None:
    """Nothing to complain about after the four edits."""
    assert "no issues" in run(project, sys.executable, "manage.py", "check")
    assert "No changes detected" in run(project, sys.executable, "manage.py", "makemigrations", "--check", "--dry-run")


@pytest.mark.browser
def test_the_bell_is_live(project: Path, chromium: str) -> None:
    """In Chromium the number goes from nothing to 1 while the page stays as it is."""
    from playwright.sync_api import expect, sync_playwright

    with Server(project) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGS)
        page = browser.new_page()
        url = f"http://127.0.0.1:{server.port}"
        page.goto(f"{url}/in/")
        page.goto(f"{url}/")
        page.wait_for_selector('live-bell[state="open"]', state="attached")
        cookies = {
            "Cookie": f"sessionid={next(c['value'] for c in page.context.cookies() if c['name'] == 'sessionid')}"
        }
        httpx.get(f"{url}/send/", headers=cookies).raise_for_status()
        expect(page.locator("live-bell .lb-badge")).to_have_text("1", timeout=2000)
        browser.close()
        assert "Traceback" not in server.log.read_text()


def test_readme_is_short() -> None:
    """At most 120 lines."""
    assert len(README.splitlines()) <= 120

"""The demo: SQLite and no Redis, unless DATABASE_URL and REDIS_URL name others."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

import dj_database_url

BASE_DIR = Path(__file__).resolve().parent.parent


def secret_key() -> str:
    """Made on the first start, kept in a file that git ignores."""
    file = BASE_DIR / ".secret_key"
    if not file.exists():
        new = file.with_name(f".secret_key.{os.getpid()}")
        new.touch(mode=0o600)
        new.write_text(secrets.token_urlsafe(50))
        with suppress(
            FileExistsError
        ):  # two processes start at once: the first one's counts, and is never half written
            os.link(new, file)
        new.unlink()
    return file.read_text()


def database() -> dict[str, Any]:
    settings: dict[str, Any] = dict(dj_database_url.config(default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}"))
    if settings["ENGINE"].endswith("sqlite3"):
        settings["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",  # or two writers meet as "database is locked"
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",  # committed means on the disk
        }
    return settings


def channel_layers(layer: str | None) -> dict[str, Any]:
    if not layer:
        return {}
    backends = {
        "core": "channels_redis.core.RedisChannelLayer",
        "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer",
    }
    return {"default": {"BACKEND": backends[layer], "CONFIG": {"hosts": [REDIS_URL]}}}


def bus() -> str:
    if chosen := os.environ.get("LIVEBELL_BUS"):
        return chosen
    if CHANNEL_LAYERS:
        return "channel-layer"
    return "redis" if REDIS_URL else "database"


SECRET_KEY = secret_key()
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]

INSTALLED_APPS = [
    "livebell",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "demo",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "demo.middleware.content_security_policy",
]

ROOT_URLCONF = "demo.urls"
ASGI_APPLICATION = "demo.asgi.application"
WSGI_APPLICATION = "demo.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = os.environ.get("REDIS_URL", "")
CHANNEL_LAYERS = channel_layers(os.environ.get("LAYER"))
LIVEBELL: dict[str, Any] = {"BUS": bus(), "BASE_TEMPLATE": "demo/base.html", "ADMIN_BELL": True}
if REDIS_URL:
    LIVEBELL["REDIS_URL"] = REDIS_URL

# The demo speaks http, and to this machine alone: HSTS, the redirect to https, and cookies for https only.
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008", "security.W012", "security.W016"]

LOGIN_URL = "home"
STATIC_URL = "static/"
TIME_ZONE = "UTC"
USE_TZ = True

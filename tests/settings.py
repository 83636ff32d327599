"""Django's settings for the tests, and for the processes that tests start.

``LIVEBELL_TEST_DB`` chooses ``sqlite`` (default) or ``postgresql``; the latter needs ``DATABASE_URL``, as ``make test``
sets it. A process started by a test inherits ``LIVEBELL_TEST_NAME`` and so uses the test's own database, not the original.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import dj_database_url

HERE = Path(__file__).resolve().parent
DB = os.environ.get("LIVEBELL_TEST_DB", "sqlite")
PARENTS_DATABASE = os.environ.get("LIVEBELL_TEST_NAME")


def sqlite() -> dict[str, Any]:
    path = PARENTS_DATABASE or str(Path(tempfile.gettempdir()) / f"livebell-test-{os.getpid()}.sqlite3")
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "TEST": {"NAME": path},  # a file: threads and other processes have to see it
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }


def postgresql() -> dict[str, Any]:
    if "DATABASE_URL" not in os.environ:
        raise SystemExit("LIVEBELL_TEST_DB=postgresql needs DATABASE_URL; `make test` starts a PostgreSQL and sets it.")
    database = dict(dj_database_url.config())
    name = PARENTS_DATABASE or f"livebell_test_{os.getpid()}"
    return database | {"NAME": PARENTS_DATABASE or database["NAME"], "TEST": {"NAME": name}}


DATABASES = {"default": {"sqlite": sqlite, "postgresql": postgresql}[DB]()}
os.environ["LIVEBELL_TEST_NAME"] = DATABASES["default"]["TEST"]["NAME"]

SECRET_KEY = "for tests only"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver"]

INSTALLED_APPS = [
    "livebell",  # before the admin, whose header it can extend
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

ROOT_URLCONF = "tests.urls"
ASGI_APPLICATION = "tests.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [HERE / "templates"],
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

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_URL = "static/"
TIME_ZONE = "UTC"
USE_TZ = True

# A test hands these to the processes it starts: LIVEBELL as JSON, the layer by its short name.
LIVEBELL = json.loads(os.environ.get("LIVEBELL_TEST_SETTINGS", "{}"))
LAYERS = {
    "memory": "channels.layers.InMemoryChannelLayer",
    "core": "channels_redis.core.RedisChannelLayer",
    "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer",
}
CHANNEL_LAYERS: dict[str, Any] = {}
if LAYER := os.environ.get("LIVEBELL_TEST_LAYER"):
    CHANNEL_LAYERS["default"] = {"BACKEND": LAYERS[LAYER]}
    if LAYER != "memory":
        CHANNEL_LAYERS["default"]["CONFIG"] = {"hosts": [os.environ["REDIS_URL"]]}

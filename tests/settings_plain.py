"""The test site on SQLite as ``startproject`` configures it."""

import os

from tests.settings import *  # noqa: F403

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["PLAIN"]}}

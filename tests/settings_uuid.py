"""The tests' settings with another user model; see ``test_keys.py``."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [*(name for name in INSTALLED_APPS if name != "django.contrib.admin"), "tests.uuid_users"]
AUTH_USER_MODEL = "uuid_users.Person"
ROOT_URLCONF = "tests.urls_keys"

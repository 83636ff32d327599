"""Django's settings: users, sessions, Livebell on Redis."""

import os

from peers.django_site import *  # noqa: F403

INSTALLED_APPS = ["livebell", *INSTALLED_APPS]  # noqa: F405
ROOT_URLCONF = "benchmarks.project.urls"
LIVEBELL = {"BUS": os.environ.get("BENCH_BUS", "redis"), "REDIS_URL": os.environ["REDIS_URL"]}

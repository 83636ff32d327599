"""Settings as its README has them."""

import os
from urllib.parse import urlsplit

from peers.django_site import *  # noqa: F403

INSTALLED_APPS = ["django_eventstream", *INSTALLED_APPS]  # noqa: F405
ROOT_URLCONF = "peers.eventstream.urls"
EVENTSTREAM_CHANNELMANAGER_CLASS = "peers.eventstream.channels.Channels"

REDIS = urlsplit(os.environ["REDIS_URL"])
EVENTSTREAM_REDIS = {"host": REDIS.hostname, "port": REDIS.port, "db": int(REDIS.path.strip("/") or 0)}
if not os.environ.get("EVENTSTREAM_AS_INSTALLED"):
    EVENTSTREAM_REDIS["socket_timeout"] = None  # the default of redis-py 8 is 5 s; its listener would end in silence
STORAGE = {
    "database": "django_eventstream.storage.DjangoModelStorage",
    "redis": "django_eventstream.storage.RedisStorage",
}
if os.environ.get("EVENTSTREAM_STORAGE"):
    EVENTSTREAM_STORAGE_CLASS = STORAGE[os.environ["EVENTSTREAM_STORAGE"]]
    EVENTSTREAM_STORAGE_CONNECTION = EVENTSTREAM_REDIS

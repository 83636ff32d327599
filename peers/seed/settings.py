"""Settings of the tutorial's project."""

import os

from peers.django_site import *  # noqa: F403

INSTALLED_APPS = ["channels", *INSTALLED_APPS]  # noqa: F405
ASGI_APPLICATION = "peers.seed.asgi.application"
ROOT_URLCONF = "peers.seed.urls"

LAYERS = {
    "core": "channels_redis.core.RedisChannelLayer",
    "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer",
}
HOST: dict[str, object] = {"address": os.environ["REDIS_URL"]}
if not os.environ.get("SEED_AS_INSTALLED"):
    # From redis-py 8 on the default is 5 s, after which a channel layer that waits for a message raises, and the socket of
    # a user to whom nothing happens is closed. What tutorials were written for didn't do that.
    HOST["socket_timeout"] = None
CHANNEL_LAYERS = {"default": {"BACKEND": LAYERS[os.environ.get("SEED_LAYER", "core")], "CONFIG": {"hosts": [HOST]}}}

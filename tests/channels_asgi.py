"""A project that has Channels routing: Livebell's socket is one of its patterns."""

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

pages = get_asgi_application()

from livebell.routing import http_urlpatterns, websocket_urlpatterns  # noqa: E402  (after Django is set up)

application = ProtocolTypeRouter(
    {
        "http": AuthMiddlewareStack(URLRouter([*http_urlpatterns, re_path("", pages)])),
        "websocket": AuthMiddlewareStack(URLRouter([*websocket_urlpatterns])),
    }
)

"""For projects with Channels routing: ``URLRouter([*websocket_urlpatterns, …])`` behind ``AuthMiddlewareStack``, and the
same ``http_urlpatterns`` before Django's own application, for browsers behind proxies that block WebSockets."""

from __future__ import annotations

from django.urls import path

from .conf import conf
from .transports import livebell_socket

websocket_urlpatterns = [path(conf().SOCKET_PATH, livebell_socket)]  # type: ignore[arg-type]  # Channels' URLRouter takes any ASGI application
http_urlpatterns = websocket_urlpatterns

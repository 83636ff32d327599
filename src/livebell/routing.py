"""For projects with Channels routing: ``URLRouter([*websocket_urlpatterns, …])`` behind ``AuthMiddlewareStack``."""

from __future__ import annotations

from django.urls import path

from .conf import conf
from .transports.websocket import livebell_socket

websocket_urlpatterns = [path(conf().SOCKET_PATH, livebell_socket)]  # type: ignore[arg-type]  # Channels' URLRouter takes any ASGI application

"""For projects with Channels routing: ``URLRouter([*websocket_urlpatterns, …])`` behind ``AuthMiddlewareStack``, and
``http_urlpatterns`` before Django's own application: the same for browsers behind proxies that block WebSockets, and the
answer to whoever asks whether this process is ready."""

from __future__ import annotations

from django.urls import path

from .conf import conf
from .transports import livebell_ready, livebell_socket

websocket_urlpatterns = [path(conf().SOCKET_PATH, livebell_socket)]  # type: ignore[arg-type]  # Channels' URLRouter takes any ASGI application
http_urlpatterns = [*websocket_urlpatterns, path(conf().ready_path, livebell_ready)]  # type: ignore[arg-type]  # as above

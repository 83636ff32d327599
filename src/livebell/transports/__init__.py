"""How frames reach a client: one ASGI application for all of it, at one path (``SOCKET_PATH``).

websocket   the WebSocket
http        Server-Sent Events and the long poll, with GET at the same path; and ``ready/`` below it
gate        which pages, and whose sessions
asgi, eager what they share
"""

from .door import livebell_ready, livebell_socket

__all__ = ["livebell_ready", "livebell_socket"]

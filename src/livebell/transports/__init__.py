"""How frames reach a client. ``websocket`` mounts in any ASGI application; ``sse`` and ``frames`` are plain views."""

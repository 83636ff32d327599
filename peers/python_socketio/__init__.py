"""python-socketio: an ASGI server of Socket.IO, with Redis between processes."""

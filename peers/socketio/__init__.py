"""Socket.IO on Node.js, with the Redis adapter. ``packages.py`` installs what it needs from npm."""

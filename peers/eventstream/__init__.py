"""django-eventstream: server-sent events, with Redis between processes, and a log if it is asked for."""

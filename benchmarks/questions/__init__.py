"""One question each. ``measure(session)`` answers it for a server that stands ready, in figures by name."""

"""The other designs, each a small thing that runs, to be measured and broken beside Livebell.

seed         a Channels consumer and a group, as every tutorial writes it
eventstream  django-eventstream

Each folder holds what runs; the class of the same name starts it (``start()``, ``stop(kill=)``, ``port``, ``pid``), makes
logins for its clients (``logins``), and publishes from a process of its own (``publisher``).
"""

from .eventstream.peer import EventStream
from .peer import Login, Peer, Published, Publisher
from .seed.peer import Seed

__all__ = ["EventStream", "Login", "Peer", "Published", "Publisher", "Seed"]

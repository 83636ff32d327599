"""The other designs, each a small thing that runs, to be measured and broken beside Livebell.

seed             a Channels consumer and a group, as every tutorial writes it
eventstream      django-eventstream
python_socketio  python-socketio, with Redis
socketio         Socket.IO on Node.js, with Redis
nchan            nginx with Nchan, in C
epoll            a plain epoll loop in C, the limit of one send each

Each folder holds what runs; the class of the same name starts it (``start()``, ``stop(kill=)``, ``port``, ``pid``), makes
logins for its clients (``logins``), and publishes from a process of its own (``publisher``). A class whose program can't be
had raises ``Unavailable`` with the reason when it is made.
"""

from .epoll.peer import EpollLoop
from .eventstream.peer import EventStream
from .nchan.peer import Nchan
from .peer import Login, Peer, Published, Publisher
from .python_socketio.peer import PythonSocketIO
from .seed.peer import Seed
from .socketio.peer import SocketIO

__all__ = [
    "EpollLoop",
    "EventStream",
    "Login",
    "Nchan",
    "Peer",
    "Published",
    "Publisher",
    "PythonSocketIO",
    "Seed",
    "SocketIO",
]

"""Which scene a run plays in: Livebell's, or another system's."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from .fault import Run
from .rig import Rig
from .scene import Scene


def stage(rig: Rig, run: Run, **given: Any) -> Scene:
    """A scene for this run."""
    if "system" not in run.more:
        return Scene(rig, run, **given)
    from .systems import PeerScene  # needs what `make bench` installs

    for ours in ("send_buffer", "ws"):
        given.pop(ours, None)
    return PeerScene(rig, run, **{**given, "groups": 0})


def others() -> tuple[Run, ...]:
    """The same fault done to other systems, if they are installed."""
    if find_spec("django_eventstream") is None:
        return ()
    names = ("Channels tutorial, core", "Channels tutorial, pubsub", "django-eventstream")
    return tuple(Run(name, peer=True, small=False, more={"system": name}) for name in names)

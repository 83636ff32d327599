"""What a fault is to the runner: a name, and runs, one of which at least is a control."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .result import Result
    from .rig import Rig

T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """One run of a fault."""

    name: str = "livebell"
    without: str = ""
    """The defence that is off; see ``without``."""
    expects: Collection[str] = ()
    """Makes it a control: counts or limits of which one has to be wrong."""
    more: dict[str, Any] = field(default_factory=dict)
    """What else differs from the other runs of this fault."""
    quick: bool = False
    fault: str = ""
    """Name of the fault it is a run of."""
    peer: bool = False
    """Another system: shown, not judged."""
    small: bool = True
    """Whether it belongs to the runs of ``--quick`` too."""

    @property
    def control(self) -> bool:
        return bool(self.expects)

    def size(self, full: T, quick: T, control: T | None = None) -> T:
        """A number or a duration: in full, for ``--quick`` and other systems, and for a control."""
        if self.control and control is not None:
            return control
        return quick if self.quick or self.control or self.peer else full


@dataclass(frozen=True)
class Fault:
    """A fault, and how to run it."""

    name: str
    title: str
    run: Callable[[Rig, Run], Awaitable[Result]]
    runs: tuple[Run, ...]
    database: str = "postgresql"
    redis: bool = True

"""Buses: the one thing that varies. ``base`` is the contract, the other files keep it."""

from .base import Bus, Hints, Listener, get_bus

__all__ = ["Bus", "Hints", "Listener", "get_bus"]

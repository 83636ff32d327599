"""The load client: C, compiled when it is needed, and the class that speaks with it."""

from .client import Counted, Load, Ready, compiled

__all__ = ["Counted", "Load", "Ready", "compiled"]

"""The words of the bell, in the language of the request; the script has none of its own."""

from __future__ import annotations


def words() -> dict[str, str]:
    """Key → text."""
    return {}

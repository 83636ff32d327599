"""What makes a message countable: a number and the time of the publish call, at the front of 200 bytes of text."""

from __future__ import annotations

import time

SIZE = 200
FORM = "@@{number:010d}:{time:019d};"
"""The load client looks for two at signs, ten digits, a colon, nineteen digits (ns since 1970), a semicolon."""


def text_of(number: int) -> str:
    """A text with a marker of this number and of now."""
    return FORM.format(number=number, time=time.time_ns()).ljust(SIZE, "x")

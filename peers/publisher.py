"""What the publishers in Python share: orders on standard input, one JSON object a line, answered by one each."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from .marker import text_of

Publish = Callable[[str, str], None]
"""``publish(to, text)``; *to* is ``all`` or the number of a user."""


def serve(publish: Publish) -> None:
    """Say that we are ready, then carry out orders until there are no more."""
    say({"ready": True})
    for line in sys.stdin:
        say(carry_out(json.loads(line), publish))


def carry_out(order: dict[str, Any], publish: Publish) -> dict[str, Any]:
    """Publish as ordered, at the pace ordered, whatever fails."""
    to, every = order["to"], order["every"]
    errors, error, began = 0, "", time.time_ns()
    start = time.perf_counter()
    for n in range(order["number"]):
        if every and (wait := start + n * every - time.perf_counter()) > 0:
            time.sleep(wait)
        try:
            publish(to[n % len(to)], order["text"] or text_of(order["first"] + n))
        except Exception as failure:
            errors, error = errors + 1, repr(failure)
    return {"number": order["number"], "errors": errors, "error": error, "began": began, "ended": time.time_ns()}


def say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()

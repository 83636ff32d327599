"""The public names, and nothing else, at the top of the package."""

from __future__ import annotations

import inspect

import pytest

import livebell
from livebell import api

NAMES = [
    "EVERYONE",
    "amark_read",
    "anotify",
    "apush",
    "aretract",
    "mark_read",
    "notify",
    "push",
    "retract",
    "unread",
]


def test_public_names() -> None:
    """At most ten, all of them loadable, all the same objects as in ``api``."""
    assert livebell.__all__ == NAMES
    assert len(NAMES) <= 10
    for name in NAMES:
        assert getattr(livebell, name) is getattr(api, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """The lazy door opens for public names only."""
    with pytest.raises(AttributeError, match="nothing"):
        _ = livebell.nothing


@pytest.mark.parametrize("name", [name for name in api.__all__ if f"a{name}" in api.__all__])
def test_twins_have_the_same_signature(name: str) -> None:
    """``x`` and ``ax`` take the same arguments."""
    assert inspect.signature(getattr(api, name)) == inspect.signature(getattr(api, f"a{name}"))


def test_notify_is_keyword_only_after_the_title() -> None:
    """``notify(audience, title, *, …)`` as documented."""
    parameters = inspect.signature(livebell.notify).parameters
    assert list(parameters) == [
        "audience", "title", "body", "url", "level", "kind", "data", "actor", "key", "expires",
    ]  # fmt: skip
    keyword_only = [name for name, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    assert keyword_only == list(parameters)[2:]


def test_every_public_function_says_what_it_promises() -> None:
    """A docstring on each."""
    for name in set(api.__all__) - {"EVERYONE"}:
        assert getattr(api, name).__doc__, name

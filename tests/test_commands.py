"""``manage.py livebell_send``."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command

from livebell import api
from livebell.models import Outbox
from tests.helpers import commits, log, nothing_stored, person

pytestmark = pytest.mark.django_db


def send(*words: str) -> str:
    out = StringIO()
    call_command("livebell_send", *words, stdout=out)
    return out.getvalue()


def refused(*words: str) -> str:
    with pytest.raises(CommandError) as caught:
        send(*words)
    assert nothing_stored()
    return str(caught.value)


@commits
def test_it_sends_to_a_user_by_name() -> None:
    """USERNAME and TITLE are enough; the notification is there when the command ends."""
    ann = person()
    assert send("ann", "Build passed").startswith("sent: 'Build passed' is notification ")
    assert log(f"user:{ann.pk}") == ["Build passed"]


@commits
def test_it_says_that_a_key_stood_there_already() -> None:
    """The second with a key is not sent, and the command says so."""
    ann = person()
    send("ann", "T", "--key", "k")
    assert "stood there already as notification" in send("ann", "T", "--key", "k")
    assert api.unread(ann) == 1


def test_every_field_is_an_option() -> None:
    """The options are the fields of ``notify``."""
    person()
    fields = {"url": "/builds/1/", "body": "B", "kind": "build", "level": "error", "actor": "CI", "key": "1"}
    send("ann", "T", *(word for name, value in fields.items() for word in (f"--{name}", value)), "--data", '{"a": [1]}')
    row = Outbox.objects.get()
    assert {name: getattr(row, name) for name in fields} == fields
    assert row.data == {"a": [1]}


@pytest.mark.parametrize(("options", "stream"), [(["--topic", "order:1"], "order:1"), (["--everyone"], "all")])
def test_it_sends_to_a_topic_or_everyone(options: list[str], stream: str) -> None:
    """Instead of a user it may be a topic, or everybody."""
    send("T", *options)
    assert Outbox.objects.get().streams == [stream]


def test_it_sends_to_a_group_by_name() -> None:
    """Or a group, by its name."""
    group = Group.objects.create(name="the reds")
    send("T", "--group", "the reds")
    assert Outbox.objects.get().streams == [f"group:{group.pk}"]


def test_somebody_unknown_is_an_error() -> None:
    """A user and a group that don't exist are named."""
    assert refused("nobody", "T") == "there is no user 'nobody'"
    assert refused("T", "--group", "none") == "there is no group 'none'"


@pytest.mark.parametrize(
    "words",
    [
        ["ann"],
        ["ann", "T", "more"],
        ["ann", "T", "--everyone"],
        ["T", "--everyone", "--topic", "t"],
        ["T", "--group", "g", "--topic", "t"],
    ],
    ids=str,
)
def test_an_audience_that_is_not_clear_is_an_error(words: list[str]) -> None:
    """Exactly one audience and one title, or a line that says how."""
    person()
    refused(*words)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["--url", "javascript:1"], "url"),
        (["--data", "{"], "--data"),
        (["--body", "\0"], "body"),
        (["--data", json.dumps("x" * 17_000)], "data"),
        (["--key", ""], "key"),
    ],
    ids=str,
)
def test_what_cannot_be_sent_is_one_line(options: list[str], field: str) -> None:
    """A wrong field is an error of the command that names it, not a traceback."""
    person()
    assert refused("ann", "T", *options).startswith(f"{field}: ")


def test_a_level_that_does_not_exist_is_an_error() -> None:
    """The level is one of four."""
    person()
    assert "invalid choice" in refused("ann", "T", "--level", "loud")


@pytest.mark.parametrize("topic", ["all", "user:1", "a b"])
def test_a_topic_is_a_topic(topic: Any) -> None:
    """A topic's name can't be a stream of Livebell's own."""
    assert refused("T", "--topic", topic).startswith("audience: ")

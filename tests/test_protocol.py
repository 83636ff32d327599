"""The wire, and that ``docs/protocol.md`` says what the structs do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebell import protocol
from livebell.protocol import (
    MAX_INBOUND,
    BadFrame,
    Bye,
    ClientHello,
    CloseCode,
    Counted,
    Entries,
    Entry,
    Frame,
    Hello,
    Ping,
    Push,
    Reset,
    Snapshot,
    decode_hello,
    encode,
)

DOCUMENT = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text()
SNAPSHOT = Snapshot(unread=2, unseen=1, at={"all": 3}, rev=4, through={"all": 1}, read={"all": [2]})
FULL = Entry(
    seq=17, id=903, kind="k", title="T", body="B", url="/u/", level="error", actor="A", data={"a": 1}, created=1.5
)
EXAMPLES: list[Frame] = [
    Hello(v=1, epoch="e", now=1.5, ping=25, spread=10),
    Reset(epoch="e", snapshot=SNAPSHOT),
    Counted(epoch="e", snapshot=SNAPSHOT),
    Entries(epoch="e", stream="all", prev=1, entries=[FULL]),
    Push(topic="t", event="e", data=1, key="k"),
    Ping(now=1.5),
    Bye(code=4000, retry=5),
]


def section(title: str) -> str:
    """The text below a heading."""
    return re.split(r"^## ", DOCUMENT.split(f"## {title}\n")[1], flags=re.MULTILINE)[0]


def table(title: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


FRAMES = {words(row[0])[0]: words(row[1]) for row in table("Frames from the server")}
CODES = {int(code): row[1] for row in table("Close codes") for code in row[0].split(",")}


# Frames


def test_the_table_lists_every_frame() -> None:
    """The document's table has each type of frame, and no other."""
    assert sorted(FRAMES) == sorted(frame.__struct_config__.tag for frame in Frame.__subclasses__())


@pytest.mark.parametrize("frame", EXAMPLES, ids=lambda frame: type(frame).__name__)
def test_a_frame_has_the_documented_fields(frame: Frame) -> None:
    """Each frame is one JSON object with its type and the fields of the table, in their order."""
    written = json.loads(encode(frame))
    assert list(written) == ["type", *FRAMES[written["type"]]]


def test_the_snapshot_has_the_documented_fields() -> None:
    """A snapshot has the fields that the document names, all of them always."""
    (named,) = re.findall(r"`snapshot` is `\{([^}]+)\}`", DOCUMENT)
    empty = Snapshot(unread=0, unseen=0, at={}, rev=0, through={}, read={})
    assert list(json.loads(msgspec.json.encode(empty))) == named.split(", ")


def documented_entries() -> list[dict[str, Any]]:
    return [json.loads(found) for found in re.findall(r'^    (\{"seq".*?\})(?:\s|$)', DOCUMENT, flags=re.MULTILINE)]


def test_an_entry_has_the_documented_fields() -> None:
    """The document's three examples are entries, and name every field between them."""
    examples = documented_entries()
    assert len(examples) == 3
    for example in examples:
        msgspec.convert(example, Entry)
    assert {name for example in examples for name in example} == set(Entry.__struct_fields__)


def test_an_entry_leaves_out_its_defaults() -> None:
    """Fields that hold their default are left out, as the document says."""
    assert json.loads(msgspec.json.encode(Entry(seq=1, id=2, title="T"))) == {"seq": 1, "id": 2, "title": "T"}
    assert json.loads(msgspec.json.encode(Entry(seq=18, retracts=17))) == {"seq": 18, "retracts": 17}
    assert json.loads(msgspec.json.encode(Entry(seq=19, gone=True))) == {"seq": 19, "gone": True}


@pytest.mark.parametrize("frame", EXAMPLES, ids=lambda frame: type(frame).__name__)
def test_a_frame_is_one_line(frame: Frame) -> None:
    """A frame has no line break, so that it fits an event stream."""
    assert "\n" not in encode(frame)


def test_text_stays_text() -> None:
    """A line break, a quote, markup and emoji inside a text survive."""
    title = 'a\n"<b>\u2028🛎'
    assert json.loads(encode(Push(topic="t", event="e", data=title)))["data"] == title
    assert "\n" not in encode(Push(topic="t", event="e", data=title))


def test_the_version_is_the_documented_one() -> None:
    """Version, subprotocol and the limit are those of the document."""
    assert f"subprotocol `{protocol.SUBPROTOCOL}`" in DOCUMENT
    assert f'"type": "hello", "v": {protocol.VERSION}' in DOCUMENT
    assert f"a frame above {MAX_INBOUND // 1024} KiB" in DOCUMENT


# Close codes


def test_the_table_lists_every_close_code() -> None:
    """The document's table has each code we use; 1012 is the server's own word for 1001."""
    assert set(CODES) == {int(code) for code in CloseCode} | {1012}


@pytest.mark.parametrize("code", CloseCode)
def test_a_close_code_has_its_documented_name(code: CloseCode) -> None:
    """The name in the table is the name in the code."""
    assert CODES[code] == code.name.lower().replace("_", " ")


@pytest.mark.parametrize("code", CloseCode)
def test_whether_to_reconnect_is_in_the_code(code: CloseCode) -> None:
    """x000 to x499 means come back, x500 to x999 stop; 1009 and 4504 are bugs of the client and mean stop."""
    assert "x000 to x499: connect again" in DOCUMENT
    assert "1009 and 4504 are bugs of the client: stop" in DOCUMENT
    assert code.reconnect is (code % 1000 < 500 and code not in (1009, 4504))


# The client's hello


def close_code(text: Any) -> CloseCode:
    with pytest.raises(BadFrame) as caught:
        decode_hello(text)
    return caught.value.code


def test_the_documented_hello_is_understood() -> None:
    """The document's example is a hello."""
    (example,) = re.findall(r'^    (\{"type": "hello".*\})$', DOCUMENT, flags=re.MULTILINE)
    assert decode_hello(example) == ClientHello(v=1, epoch="…", cursor={"user:42": 17, "all": 3})


def test_a_first_hello_has_no_cursor() -> None:
    """Epoch and cursor may be left out."""
    assert decode_hello('{"type": "hello", "v": 1}') == ClientHello()


def test_unknown_fields_are_ignored() -> None:
    """A newer client may say more."""
    assert decode_hello('{"type": "hello", "v": 1, "more": {"a": [1]}}') == ClientHello()


@pytest.mark.parametrize("version", [0, 2, -1, 10**30])
def test_another_version_is_told(version: int) -> None:
    """A client of another version is told to reload."""
    assert close_code(json.dumps({"type": "hello", "v": version})) is CloseCode.VERSION


@pytest.mark.parametrize(
    "text",
    [
        None,
        b'{"type": "hello"}',
        "",
        " ",
        "hello",
        "null",
        "1",
        "[]",
        '"hello"',
        "{",
        '{"type": "hello"} x',
        '{"type": "subscribe", "v": 1}',
        '{"type": 5}',
        '{"type": null}',
        '{"type": "hello", "v": "1"}',
        '{"type": "hello", "v": 1.5}',
        '{"type": "hello", "v": null}',
        '{"type": "hello", "epoch": 5}',
        '{"type": "hello", "cursor": []}',
        '{"type": "hello", "cursor": null}',
        '{"type": "hello", "cursor": {"a": "1"}}',
        '{"type": "hello", "cursor": {"a": 1.5}}',
        '{"type": "hello", "cursor": {"a": -1}}',
        '{"type": "hello", "cursor": {"a": null}}',
        '{"type": "hello", "cursor": {"a": NaN}}',
        '{"type": "hello", "epoch": "\ud800"}',
        "\ud800",
        "\0",
        "[" * 4000,
        '{"type": "hello", "more": ' + "[" * 4000,
    ],
    ids=lambda text: ascii(text)[:40],
)
def test_what_is_no_hello_is_a_bad_frame(text: Any) -> None:
    """Anything else gets the close code for a bad frame, and no other exception."""
    assert close_code(text) is CloseCode.BAD_FRAME


@pytest.mark.parametrize(("more", "fits"), [(-1, True), (0, True), (1, False)])
@pytest.mark.parametrize("letter", ["a", "ä", "🛎"])
def test_a_hello_has_at_most_16_kib(letter: str, more: int, fits: bool) -> None:
    """The limit is in bytes, whatever the letters."""
    frame = '{"type": "hello", "v": 1, "epoch": "%s"}'
    room = MAX_INBOUND + more - len(frame % "")
    text = frame % (letter * (room // len(letter.encode())) + "a" * (room % len(letter.encode())))
    assert len(text.encode()) == MAX_INBOUND + more
    if fits:
        assert decode_hello(text).v == 1
    else:
        assert close_code(text) is CloseCode.TOO_BIG


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
hellos = st.fixed_dictionaries(
    {},
    optional={
        "type": st.just("hello") | json_values,
        "v": st.just(1) | json_values,
        "epoch": st.text(max_size=20) | json_values,
        "cursor": st.dictionaries(st.text(max_size=10), st.integers() | json_values, max_size=4) | json_values,
    },
)


def understood_or_closed(text: Any) -> None:
    try:
        hello = decode_hello(text)
    except BadFrame as refused:
        code: CloseCode | None = refused.code
    else:
        code = None
        assert hello.v == 1
        assert all(seq >= 0 for seq in hello.cursor.values())
    assert code in (None, CloseCode.BAD_FRAME, CloseCode.TOO_BIG, CloseCode.VERSION)


@given(st.text(st.characters(), max_size=200) | st.binary(max_size=50) | st.none())
def test_no_text_makes_a_traceback(text: Any) -> None:
    """Whatever arrives is a hello, or gets a documented close code."""
    understood_or_closed(text)


@given(hellos)
def test_no_json_makes_a_traceback(value: Any) -> None:
    """Whatever JSON arrives is a hello, or gets a documented close code."""
    understood_or_closed(json.dumps(value))


@given(st.dictionaries(st.text(max_size=10), st.integers(0, 2**62), max_size=6), st.text(max_size=30))
def test_every_hello_is_understood_as_it_was_meant(cursor: dict[str, int], epoch: str) -> None:
    """Any cursor and any epoch arrive unchanged."""
    assert decode_hello(json.dumps({"type": "hello", "v": 1, "epoch": epoch, "cursor": cursor})) == ClientHello(
        epoch=epoch, cursor=cursor
    )

"""The words of the bell in every language that we ship."""

from __future__ import annotations

import re
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from django.utils import translation

import livebell
from livebell.words import SAMPLES, label, words

HERE = Path(livebell.__file__).parent
CATALOGS = sorted((HERE / "locale").glob("*/LC_MESSAGES/django.po"))
LANGUAGES = {"ar", "de", "es", "fr", "zh_Hans"}
CALL = re.compile(r'\b(?:_|gettext|gettext_lazy|ngettext)\("([^"]+)"|{% translate "([^"]+)"')
SCRIPT = re.compile(r'(?:\bsay\("|data-act": ")(\w+)"')

catalogs = pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.parts[-3])


def texts() -> set[str]:
    """Every text that our code and templates hand to gettext."""
    files = [*HERE.rglob("*.py"), *HERE.rglob("*.html")]
    return {one or other for file in files for one, other in CALL.findall(file.read_text())}


def flat(value: str | dict[str, str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value.values())


def test_these_languages_are_shipped() -> None:
    """German, French, Spanish, Chinese and Arabic, besides English."""
    assert {path.parts[-3] for path in CATALOGS} == LANGUAGES


@catalogs
def test_every_text_is_translated(path: Path) -> None:
    """No text of the code or the templates is missing, empty or fuzzy, and none is left over."""
    with path.open("rb") as file:
        catalog = read_po(file)
    done = {
        message.id if isinstance(message.id, str) else message.id[0]
        for message in catalog
        if message.id and not message.fuzzy and all(flat_message(message.string))
    }
    assert done == texts()


def flat_message(string: str | tuple[str, ...]) -> tuple[str, ...]:
    return (string,) if isinstance(string, str) else string


@catalogs
def test_the_compiled_file_is_of_this_source(path: Path) -> None:
    """`make messages` has been run."""
    with path.open("rb") as file:
        catalog = read_po(file)
    compiled = BytesIO()
    write_mo(compiled, catalog)
    assert translations(path.with_suffix(".mo").read_bytes()) == translations(compiled.getvalue())


def translations(compiled: bytes) -> dict[Any, str]:
    catalog = vars(GNUTranslations(BytesIO(compiled)))["_catalog"]
    return {message: text for message, text in catalog.items() if message}  # not the header, which has a date


@pytest.mark.parametrize("language", ["de", "fr", "es", "zh-hans", "ar"])
def test_the_bell_speaks_it(language: str) -> None:
    """What the script gets is in the language of the request."""
    english = words()
    with translation.override(language):
        here = words()
        assert here.keys() == english.keys()
        same = {key for key in here if here[key] == english[key]}
    assert same <= {"title", "error"}, "which are the same words in French and Spanish"


def test_the_script_finds_every_word() -> None:
    """Each key that the script asks for has a text."""
    asked = {key for file in (HERE / "static/livebell/src").glob("*.js") for key in SCRIPT.findall(file.read_text())}
    assert {"read_all", "title", "undo"} <= asked
    assert asked - {"open", "panel"} <= words().keys() | {"all"}


def test_arabic_has_six_forms() -> None:
    """A text for each category that the browser may ask for, with the number where the form needs one."""
    with translation.override("ar"):
        new = words()["new"]
    assert isinstance(new, dict)
    assert list(new) == list(SAMPLES)
    assert len(set(new.values())) == 6
    assert ["{n}" in text for text in new.values()] == [False, False, False, True, True, True]


def test_chinese_has_one() -> None:
    """Where the number changes nothing, one text is enough."""
    with translation.override("zh-hans"):
        assert words()["new"] == {"other": "{n} 条新通知"}


@pytest.mark.parametrize(
    ("language", "one", "many"),
    [
        ("en", "Notifications, 1 unread", "Notifications, 1000 unread"),
        ("fr", "Notifications, 1 non lue", "Notifications, 1000 non lues"),
        ("ar", "الإشعارات، إشعار واحد غير مقروء", "الإشعارات، 1000 إشعار غير مقروء"),
    ],
)
def test_the_label_says_the_number(language: str, one: str, many: str) -> None:
    """The label in the HTML, before any script."""
    with translation.override(language):
        assert (label(1), label(1000)) == (one, many)


def test_the_label_of_the_unseen_says_new() -> None:
    """A bell that counts what is unseen doesn't call it unread."""
    assert (label(0, unseen=True), label(3, unseen=True)) == ("Notifications, none new", "Notifications, 3 new")
    here = words(unseen=True)
    assert (here["none"], here["label"]) == ("Notifications, none new", {"other": "Notifications, {n} new"})


def test_a_word_can_be_overridden(tmp_path: Path, settings: object) -> None:
    """A project's own catalog goes before ours."""
    directory = tmp_path / "de" / "LC_MESSAGES"
    directory.mkdir(parents=True)
    (directory / "django.po").write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "Notifications"\nmsgstr "Neuigkeiten"\n'
    )
    with (directory / "django.po").open("rb") as source, (directory / "django.mo").open("wb") as compiled:
        write_mo(compiled, read_po(source, locale="de"))
    settings.LOCALE_PATHS = [str(tmp_path)]  # type: ignore[attr-defined]
    with translation.override("de"):
        assert words()["title"] == "Neuigkeiten"

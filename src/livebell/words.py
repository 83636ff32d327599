"""The words of the bell, in the language of the request; the script has none of its own.

``{n}`` stands for a number. Where a text depends on it, there is one for each CLDR plural category that differs.
"""

from __future__ import annotations

from collections.abc import Callable

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

Plural = dict[str, str]

SAMPLES = {"zero": 0, "one": 1, "two": 2, "few": 3, "many": 11, "other": 100}
"""A number of each category, in whatever language has it: gettext knows forms by number, the browser by category."""


def words(*, unseen: bool = False) -> dict[str, str | Plural]:
    """Key → text, or texts by category; with ``unseen`` the label tells of what is unseen."""
    return {
        "title": _("Notifications"),
        "none": label(0, unseen=unseen),
        "label": plural(lambda n: _label(n, unseen=unseen)),
        "new": plural(lambda n: ngettext("{n} new notification", "{n} new notifications", n)),
        "all": _("All"),
        "unread": _("Unread"),
        "read": _("Mark as read"),
        "read_all": _("Mark all as read"),
        "archive": _("Archive"),
        "archived": _("Archived"),
        "undo": _("Undo"),
        "close": _("Close"),
        "see_all": _("See all notifications"),
        "loading": _("Loading…"),
        "empty": _("You are all caught up"),
        "empty_unread": _("Nothing unread"),
        "offline": _("Offline. Trying to connect again…"),
        "ended": _("Your session has ended. Log in again."),
        "stopped": _("Live updates have stopped. Reload the page."),
        "failed": _("That did not work. Please try again."),
        "success": _("Success"),
        "warning": _("Warning"),
        "error": _("Error"),
    }


def label(count: int, *, unseen: bool = False) -> str:
    """What a screen reader says of the bell."""
    if not count:
        return _("Notifications, none new") if unseen else _("Notifications, none unread")
    return _label(count, unseen=unseen).replace("{n}", str(count))


def _label(count: int, *, unseen: bool) -> str:
    if unseen:
        return ngettext("Notifications, {n} new", "Notifications, {n} new", count)
    return ngettext("Notifications, {n} unread", "Notifications, {n} unread", count)


def plural(form: Callable[[int], str]) -> Plural:
    """The texts by category; one that is like ``other`` needs no mention."""
    other = form(SAMPLES["other"])
    texts = {category: form(number) for category, number in SAMPLES.items()}
    return {category: text for category, text in texts.items() if category == "other" or text != other}

"""``{% load livebell %}{% livebell %}``: the bell, with the right number before any JavaScript runs."""

from __future__ import annotations

from typing import Any

import msgspec
from django import template
from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import get_script_prefix, reverse
from django.utils.crypto import salted_hmac
from django.utils.safestring import SafeString

from .. import api
from ..conf import conf
from ..words import label, words

register = template.Library()

CAP = 99
"""The badge shows ``99+`` above it; the label always says the true number."""


@register.simple_tag(takes_context=True)
def livebell(context: template.Context, **options: Any) -> SafeString | str:
    """The bell of the logged-in user; nothing for anybody else.

    Options become attributes of ``<live-bell>``: ``toasts``, ``sound``, ``title``, ``favicon``, ``app_badge`` (each
    ``True``), ``count="unseen"``.
    """
    request = context.get("request")
    user = getattr(request, "user", None)
    if request is None or not getattr(user, "is_authenticated", False):
        return ""
    standing = api.standing(user)
    snapshot = standing.snapshot
    unseen = options.get("count") == "unseen"
    count = snapshot.unseen if unseen else snapshot.unread
    socket_path = f"{get_script_prefix()}{conf().SOCKET_PATH.lstrip('/')}"
    return render_to_string(
        "livebell/bell.html",
        {
            "list_url": reverse("livebell:list"),
            "items_url": reverse("livebell:items"),
            "mark_url": reverse("livebell:mark"),
            "frames_url": reverse("livebell:frames"),
            "stream_url": socket_path,
            "socket_path": conf().SOCKET_URL or socket_path,
            "user_key": salted_hmac("livebell.tabs", api.key_of(user)).hexdigest()[:16],
            "initial": msgspec.json.encode({"epoch": standing.epoch, "snapshot": snapshot}).decode(),
            "count": count,
            "count_text": f"{CAP}+" if count > CAP else str(count),
            "label": label(count, unseen=unseen),
            "words": msgspec.json.encode(words(unseen=unseen)).decode(),
            "script_url": static("livebell/bell.js"),
            "style_url": static("livebell/bell.css"),
            "nonce": getattr(request, "csp_nonce", None) or context.get("csp_nonce"),
            "csrf_token": get_token(request),
            "options": {name.replace("_", "-"): value for name, value in options.items() if value},
        },
    )


@register.simple_tag
def livebell_in_admin() -> bool:
    """Whether ``LIVEBELL["ADMIN_BELL"]`` asks for a bell in the admin's header."""
    return conf().ADMIN_BELL

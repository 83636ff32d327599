"""The list page, and the JSON that the bell asks for. Sync views: the same under WSGI and ASGI.

Everything here is about the logged-in user alone; nothing takes a user, and what belongs to others answers like what is
missing. GET changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, cast

import msgspec
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, HttpResponseRedirect
from django.http.response import HttpResponseRedirectBase
from django.shortcuts import redirect, render, resolve_url
from django.utils.cache import patch_cache_control
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from . import api, catchup, store
from .conf import conf
from .content import is_link
from .protocol import read_position

View = Callable[..., HttpResponse]

MAX_BODY = 64 * 1024
"""Bytes of a request to change marks."""
FILTERS = ("", "unread", "archived")


def private(view: View) -> View:
    """Never cached, also not by a shared computer's browser."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        patch_cache_control(response, private=True, no_store=True)
        return response

    return wrapped


def for_user(view: View) -> View:
    """401 without a user: a script can't follow a redirect to a login page."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return _json({"error": "nobody is logged in"}, status=401)
        return view(request, *args, **kwargs)

    return private(wrapped)


@require_GET
@for_user
def items(request: HttpRequest) -> HttpResponse:
    """One page of the list, the newest first."""
    only, before = request.GET.get("filter", ""), request.GET.get("before", "")
    try:
        limit = int(request.GET.get("limit", 20))
        if only not in FILTERS:
            raise ValueError(f"filter: {only[:20]!r} is none of unread, archived")
        standing = api.standing(request.user)
        page, following = store.items(api.key_of(request.user), standing, only=only, before=before, limit=limit)
    except ValueError as error:
        return _json({"error": str(error)}, status=400)
    return _json({"epoch": standing.epoch, "now": store.now(), "items": page, "next": following or None})


@require_POST
@csrf_protect
@for_user
def mark(request: HttpRequest) -> HttpResponse:
    """Change marks; answers the snapshot that follows from it."""
    if request.content_type == "multipart/form-data":  # whose body the CSRF check has read already
        return _json({"error": "the body must be JSON"}, status=400)
    if len(request.body) > MAX_BODY:
        return _json({"error": f"the request is larger than {MAX_BODY} bytes"}, status=413)
    try:
        marking = msgspec.json.decode(request.body, type=store.Marking)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _json({"error": str(error)}, status=400)
    api.mark(request.user, marking)
    standing = api.standing(request.user)
    return _json({"epoch": standing.epoch, "snapshot": standing.snapshot})


@require_GET
@for_user
def frames(request: HttpRequest) -> HttpResponse:
    """What has happened since a position: the last resort of a page that can hold no connection."""
    try:
        asked = read_position(request.GET.get("epoch", ""), request.GET.get("cursor", ""))
    except ValueError as error:
        return _json({"error": str(error)}, status=400)
    found = catchup.since(request.user, asked)
    if request.headers.get("If-None-Match") == found.etag:
        response: HttpResponse = HttpResponseNotModified()
    else:
        response = _json({"frames": found.frames})
    response.headers["ETag"] = found.etag
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@csrf_protect
@private
def list_page(request: HttpRequest) -> HttpResponse:
    """The list as a page, complete without JavaScript."""
    if not request.user.is_authenticated:
        return cast(
            HttpResponseRedirectBase, redirect_to_login(request.get_full_path(), resolve_url(settings.LOGIN_URL))
        )
    if request.method == "POST":
        return _act(request)
    only = request.GET.get("filter", "")
    only = only if only in FILTERS else ""
    standing = api.standing(request.user)
    try:
        page, following = store.items(
            api.key_of(request.user), standing, only=only, before=request.GET.get("before", "")
        )
    except ValueError:
        return redirect("livebell:list")
    context = {
        "items": [_row(item) for item in page],
        "filter": only,
        "next": following or None,
        "snapshot": standing.snapshot,
        "through_json": msgspec.json.encode(standing.snapshot.at).decode(),
        "base_template": conf().BASE_TEMPLATE,
    }
    return render(request, "livebell/list.html", context)


def _act(request: HttpRequest) -> HttpResponse:
    try:
        marking = _marking(request.POST.get("action", ""), request.POST)
    except (ValueError, msgspec.DecodeError):
        return HttpResponse(
            "This form can't be read; go back and reload the page.", status=400, content_type="text/plain"
        )
    api.mark(request.user, marking)
    following = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(following, {request.get_host()}, require_https=request.is_secure()):
        return HttpResponseRedirect(following)  # redirect() would take "?page=2" for the name of a view
    return redirect("livebell:list")


def _marking(action: str, form: Any) -> store.Marking:
    if action == "read_all":
        return store.Marking(through=msgspec.json.decode(form.get("through", ""), type=dict[str, int]))
    stream, _, seq = form.get("ref", "").rpartition(" ")
    if action not in ("read", "archive", "unarchive"):
        raise ValueError(f"action: {action!r} is none of read, read_all, archive, unarchive")
    return msgspec.convert({action: {stream: [int(seq)]}}, store.Marking)


def _row(item: store.Item) -> dict[str, Any]:
    fields = msgspec.structs.asdict(item)
    created = datetime.fromtimestamp(item.created, UTC)
    if not settings.USE_TZ:
        created = created.astimezone().replace(tzinfo=None)
    url = item.url if is_link(item.url) else ""
    return {**fields, "url": url, "created": created, "ref": f"{item.stream} {item.seq}"}


def _json(content: Any, status: int = 200) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(content), status=status, content_type="application/json")

"""One page: log in with one click, look at the bell, send."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST

from livebell import EVERYONE, notify

from . import accounts
from .forms import AUDIENCES, LEVELS, SendForm


@ensure_csrf_cookie
def home(request: HttpRequest) -> HttpResponse:
    context = {"usernames": accounts.USERNAMES, "audiences": AUDIENCES, "levels": LEVELS}
    if request.user.is_authenticated:
        context["other"] = accounts.other_than(request.user)
    return render(request, "demo/home.html", context)


@require_POST
def log_in(request: HttpRequest) -> HttpResponse:
    username = request.POST.get("username", "")
    if username not in accounts.USERNAMES:
        raise Http404
    login(request, accounts.find(username))
    return redirect("home")


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("home")


@require_POST
@login_required
def send(request: HttpRequest) -> HttpResponse:
    form = SendForm(request.POST)
    if not form.is_valid():
        return answer(request, first_error(form.errors), status=400)
    try:
        publish(request.user, **form.cleaned_data)
    except (ValueError, ValidationError) as error:
        return answer(request, str(error), status=400)
    count = form.cleaned_data["count"]
    return answer(request, f"Sent {count} notifications." if count > 1 else "Sent.")


def publish(sender: Any, *, to: str, title: str, count: int, **content: Any) -> None:
    """Many are sent in one transaction: they become visible together."""
    audience = audience_of(sender, to)
    with transaction.atomic():
        for number in range(1, count + 1):
            notify(audience, f"{title} {number}" if count > 1 else title, actor=sender, **content)


def audience_of(sender: Any, to: str) -> Any:
    match to:
        case "self":
            return sender
        case "other":
            return accounts.other_than(sender)
        case "team":
            return accounts.team()
        case _:
            return EVERYONE


def answer(request: HttpRequest, message: str, status: int = 200) -> HttpResponse:
    """JSON for the page's script, a message and a redirect where there's none."""
    if request.accepts("text/html"):
        messages.add_message(request, messages.ERROR if status >= 400 else messages.SUCCESS, message)
        return redirect("home")
    return JsonResponse({"message": message}, status=status)


def first_error(errors: Any) -> str:
    field, problems = next(iter(errors.items()))
    return f"{field}: {problems[0]}"

"""A site as small as can be: one page with a bell, under a strict Content Security Policy."""

from django.contrib import admin
from django.contrib.auth import get_user_model, login, logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import include, path

from livebell import notify
from livebell.conf import conf

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)


def page(request: HttpRequest) -> HttpResponse:
    response = render(request, "page.html")
    elsewhere = conf().SOCKET_URL.replace("http", "ws", 1)
    response["Content-Security-Policy"] = POLICY.replace(
        "connect-src 'self'", f"connect-src 'self' {elsewhere}".rstrip()
    )
    return response


def log_in(request: HttpRequest, username: str) -> HttpResponse:
    """Only a test site may do this."""
    login(request, get_user_model().objects.get(username=username))
    return redirect("page")


def log_out(request: HttpRequest) -> HttpResponse:
    """Only a test site may do this at a GET."""
    logout(request)
    return HttpResponse("logged out")


def send(request: HttpRequest, username: str, title: str) -> HttpResponse:
    """A view that publishes. Only a test site may do it at a GET."""
    notify(get_user_model().objects.get(username=username), title)
    return HttpResponse("sent")


urlpatterns = [
    path("send/<str:username>/<str:title>/", send, name="send"),
    path("", page, name="page"),
    path("log-in/<str:username>/", log_in, name="log-in"),
    path("log-out/", log_out, name="log-out"),
    path("admin/", admin.site.urls),
    path("livebell/", include("livebell.urls")),
]

"""The gate: which page may open a connection, and for which user. The same for every transport (invariant 7)."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host
from django.utils.http import is_same_domain

from ..conf import conf

logger = logging.getLogger("livebell.gate")

_PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(r"https?://[^\s/?#@\\]+", re.IGNORECASE)
"""Scheme, host and port, and nothing else: ``urlsplit`` forgives what a browser never sends."""


def same_site(scope: Mapping[str, Any]) -> bool:
    """Whether the page that opens this connection is one of ours: scheme, host and port.

    Browsers always send ``Origin`` with a WebSocket; without one, or with ``null``, the answer is no, because the cookie
    would speak for somebody who isn't there.
    """
    origins = headers(scope, b"origin")
    if len(origins) == 1 and _host_is_ours(scope) and any(_matches(origins[0], ours) for ours in _allowed(scope)):
        return True
    logger.warning(
        "gate: refused the origin %.200r; if it is yours, add it to CSRF_TRUSTED_ORIGINS or LIVEBELL['ORIGINS']",
        origins,
    )
    return False


def same_site_read(scope: Mapping[str, Any]) -> bool:
    """The same for a GET, with which browsers say where it comes from (https://www.w3.org/TR/fetch-metadata/) or, old ones,
    nothing; without CORS headers, which are never sent, no other site could read the answer anyway."""
    sites = headers(scope, b"sec-fetch-site")
    if any(site not in ("same-origin", "none") for site in sites):
        logger.warning("gate: refused a request from another site: %.200r", sites)
        return False
    return _host_is_ours(scope) and (not headers(scope, b"origin") or same_site(scope))


def address(scope: Mapping[str, Any]) -> str:
    """Where the client is, as the server says, "" if it doesn't. Headers that claim another address are the server's
    business (uvicorn: ``--proxy-headers``, ``--forwarded-allow-ips``): here they are anybody's claim."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def headers(scope: Mapping[str, Any], name: bytes) -> list[str]:
    """Every value of a header."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


def _host_is_ours(scope: Mapping[str, Any]) -> bool:
    hosts = _hosts(scope)
    allowed = settings.ALLOWED_HOSTS or ([".localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else [])
    return len(hosts) == 1 and validate_host(split_domain_port(hosts[0])[0], allowed)


def _hosts(scope: Mapping[str, Any]) -> list[str]:
    """As ``HttpRequest.get_host`` finds it."""
    forwarded = headers(scope, b"x-forwarded-host") if settings.USE_X_FORWARDED_HOST else []
    return forwarded or headers(scope, b"host")


def _allowed(scope: Mapping[str, Any]) -> list[str]:
    own = f"{'https' if _is_secure(scope) else 'http'}://{''.join(_hosts(scope)[:1])}"
    return [own, *settings.CSRF_TRUSTED_ORIGINS, *conf().ORIGINS]


def _is_secure(scope: Mapping[str, Any]) -> bool:
    if settings.SECURE_PROXY_SSL_HEADER:
        name, value = settings.SECURE_PROXY_SSL_HEADER
        header = name.removeprefix("HTTP_").replace("_", "-").lower().encode()
        said = headers(scope, header)
        if said:
            return said[0].split(",")[0].strip() == value
    return scope.get("scheme") in ("https", "wss")


def _matches(origin: str, allowed: str) -> bool:
    """Compare scheme, host and port; ``https://*.example.com`` stands for every host below, as in CSRF_TRUSTED_ORIGINS."""
    try:
        left, right = urlsplit(origin), urlsplit(allowed)
        ports = [part.port or _PORTS.get(part.scheme) for part in (left, right)]
    except ValueError:
        return False
    if not _ORIGIN.fullmatch(origin) or left.scheme != right.scheme or ports[0] != ports[1]:
        return False
    host, pattern = left.hostname or "", right.hostname or ""
    below = pattern.startswith("*.") and pattern.strip("*.")  # else it would stand for every host
    return bool(host) and (host == pattern or bool(below and is_same_domain(host, pattern[1:])))


def session_key(scope: Mapping[str, Any]) -> str | None:
    """The key of the session, from the cookie."""
    for header in headers(scope, b"cookie"):
        try:
            morsel = SimpleCookie(header).get(settings.SESSION_COOKIE_NAME)
        except CookieError:  # no cookie of ours
            continue
        if morsel is not None and morsel.value.isascii() and morsel.value.isprintable():
            return morsel.value
    return None

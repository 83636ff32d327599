"""The gate: which page may open a connection, by scheme, host and port."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client, override_settings

from livebell import sessions
from livebell.transports.gate import same_site, session_key
from tests.helpers import person

HOST = "testserver"


def scope(*origins: str, host: str | None = HOST, scheme: str = "ws", **headers: str) -> dict[str, Any]:
    found = [(b"origin", origin.encode("latin-1")) for origin in origins]
    found += [] if host is None else [(b"host", host.encode("latin-1"))]
    found += [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "websocket", "scheme": scheme, "path": "/livebell/socket/", "headers": found}


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        ("http://testserver", "testserver", "ws"),
        ("http://testserver:80", "testserver", "ws"),
        ("http://testserver", "testserver:80", "ws"),
        ("http://testserver:8000", "testserver:8000", "ws"),
        ("HTTP://TestServer", "testserver", "ws"),
        ("http://testserver", "TESTSERVER", "ws"),
        ("https://testserver", "testserver", "wss"),
        ("https://testserver:443", "testserver", "wss"),
        ("https://testserver", "testserver:443", "wss"),
        ("https://testserver:8443", "testserver:8443", "wss"),
        ("http://testserver", "testserver", "http"),
        ("https://testserver", "testserver", "https"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "ws"),
    ],
)
def test_a_page_of_this_site_may(origin: str, host: str, scheme: str) -> None:
    """The site's own pages may connect: same scheme, host and port, however they are written."""
    assert same_site(scope(origin, host=host, scheme=scheme))


@override_settings(ALLOWED_HOSTS=["[::1]"])
def test_a_page_of_an_ipv6_address_may() -> None:
    """A host may be an IPv6 address."""
    assert same_site(scope("http://[::1]:8000", host="[::1]:8000"))
    assert not same_site(scope("http://[::2]:8000", host="[::1]:8000"))


FOREIGN = [
    "http://evil.example",
    "http://testserver.evil.example",
    "http://eviltestserver",
    "http://sub.testserver",
    "http://testserver:8000",
    "http://testserver:81",
    "http://testserver:443",
    "https://testserver",
    "https://testserver:80",
    "ws://testserver",
    "ftp://testserver",
    "file://",
    "file://testserver",
    "chrome-extension://testserver",
    "null",
    "",
    " ",
    "*",
    "testserver",
    "//testserver",
    "http:testserver",
    "http://",
    "http://testserver/",
    "http://testserver/path",
    "http://testserver?x",
    "http://testserver#x",
    "http://testserver@evil.example",
    "http://evil.example@testserver",
    "http://testserver\\@evil.example",
    "http://testserver:x",
    "http://testserver:99999",
    "http://[testserver",
    "http://testserver, http://testserver",
    "http://testserver http://evil.example",
    "http://test\tserver",
    "http://127.0.0.1",
    "http://localhost",
    "http://\xfcmlaut",
]


@pytest.mark.parametrize("origin", FOREIGN, ids=repr)
def test_a_page_of_another_site_may_not(origin: str) -> None:
    """Another scheme, host or port, and everything that isn't an origin at all, is refused."""
    assert not same_site(scope(origin))


def test_a_connection_without_an_origin_may_not() -> None:
    """Browsers always send an origin; without one the cookie would speak for somebody who isn't there."""
    assert not same_site(scope())


@pytest.mark.parametrize("second", ["http://testserver", "http://evil.example"])
def test_a_doubled_origin_may_not(second: str) -> None:
    """Two origins are none, also when both are ours."""
    assert not same_site(scope("http://testserver", second))
    assert not same_site(scope(second, "http://testserver"))


def test_without_a_host_nobody_may() -> None:
    """A request that doesn't say which host it wants is refused."""
    assert not same_site(scope("http://testserver", host=None))
    assert not same_site(scope("http://", host=""))


def test_with_two_hosts_nobody_may() -> None:
    """A request that names two hosts is refused."""
    found = scope("http://testserver")
    found["headers"].append((b"host", b"testserver"))
    assert not same_site(found)


def test_header_names_are_compared_without_case() -> None:
    """A server may hand headers over in any case."""
    found = scope("http://testserver")
    found["headers"] = [(name.upper(), value) for name, value in found["headers"]]
    assert same_site(found)


@pytest.mark.parametrize(
    "host", ["evil.example", "testserver.evil.example", "testserver:x", "a b", "testserver@evil.example"]
)
def test_a_host_that_is_not_ours_may_not(host: str) -> None:
    """A page that came to us under a name that isn't in ALLOWED_HOSTS (DNS rebinding) is refused."""
    assert not same_site(scope(f"http://{host}", host=host))


@override_settings(ALLOWED_HOSTS=["*"])
@pytest.mark.parametrize("origin", ["http://evil.example", "https://testserver", "http://testserver:8000", "null"])
def test_any_host_does_not_mean_any_origin(origin: str) -> None:
    """``ALLOWED_HOSTS = ["*"]`` opens the site under every name, not the socket to every page."""
    assert same_site(scope("http://testserver"))
    assert not same_site(scope(origin))


@override_settings(ALLOWED_HOSTS=[], DEBUG=True)
def test_in_development_the_local_names_are_ours() -> None:
    """With DEBUG and no ALLOWED_HOSTS, the names that Django allows are allowed here."""
    assert same_site(scope("http://localhost:8000", host="localhost:8000"))
    assert not same_site(scope("http://evil.example", host="evil.example"))


@override_settings(ALLOWED_HOSTS=[], DEBUG=False)
def test_without_allowed_hosts_nobody_may() -> None:
    """In production no ALLOWED_HOSTS is no host."""
    assert not same_site(scope("http://localhost", host="localhost"))


@pytest.mark.parametrize("any_host", ["*", "https://*", "http://*", "https://*.", "http://*:80", "https://*.*"])
def test_no_origin_stands_for_every_site(any_host: str) -> None:
    """A bare wildcard is an error of ``manage.py check``, and lets nobody in if that wasn't run."""
    for setting in ({"CSRF_TRUSTED_ORIGINS": [any_host]}, {"LIVEBELL": {"ORIGINS": [any_host]}}):
        with override_settings(**setting):
            assert not same_site(scope("http://evil.example"))
            assert not same_site(scope("https://evil.example"))
            assert not same_site(scope("https://evil.example."))


TRUSTED = ["https://app.example.com", "https://*.example.org", "http://*.example.net:8000", "https://[broken"]


@pytest.mark.parametrize("setting", ["CSRF_TRUSTED_ORIGINS", "ORIGINS"])
@pytest.mark.parametrize(
    ("origin", "may"),
    [
        ("https://app.example.com", True),
        ("https://app.example.com:443", True),
        ("http://app.example.com", False),
        ("https://app.example.com:8443", False),
        ("https://example.com", False),
        ("https://x.app.example.com", False),
        ("https://a.example.org", True),
        ("https://a.b.example.org", True),
        ("https://evilexample.org", False),
        ("https://a.example.org.evil.example", False),
        ("http://a.example.org", False),
        ("https://a.example.org:8443", False),
        ("http://a.example.net:8000", True),
        ("http://a.example.net", False),
        ("null", False),
    ],
)
def test_trusted_origins_may(setting: str, origin: str, may: bool) -> None:
    """What CSRF_TRUSTED_ORIGINS or ``ORIGINS`` names may connect, with its wildcards, and nothing beside it."""
    more = {setting: TRUSTED} if setting == "CSRF_TRUSTED_ORIGINS" else {"LIVEBELL": {setting: TRUSTED}}
    with override_settings(**more):
        assert same_site(scope(origin)) is may
        assert same_site(scope("http://testserver"))


@override_settings(SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"))
@pytest.mark.parametrize(
    ("origin", "said", "may"),
    [
        ("https://testserver", "https", True),
        ("https://testserver", "https, http", True),
        ("https://testserver", "http", False),
        ("https://testserver", "http, https", False),
        ("http://testserver", "http", True),
        ("http://testserver", "https", False),
        ("https://testserver:443", "https", True),
        ("https://evil.example", "https", False),
    ],
)
def test_behind_a_proxy_the_proxy_says_the_scheme(origin: str, said: str, may: bool) -> None:
    """With SECURE_PROXY_SSL_HEADER the proxy's word decides between http and https."""
    assert same_site(scope(origin, x_forwarded_proto=said)) is may


def test_without_that_setting_nobody_believes_the_header() -> None:
    """Without SECURE_PROXY_SSL_HEADER the header is a visitor's claim."""
    assert not same_site(scope("https://testserver", x_forwarded_proto="https"))


@override_settings(SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"))
def test_without_the_proxys_word_the_connection_decides() -> None:
    """Where the header is missing, it is the scheme of the connection."""
    assert same_site(scope("https://testserver", scheme="wss"))


def test_a_refusal_says_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    """The log names the origin and the settings that would let it in."""
    with caplog.at_level(logging.WARNING, "livebell.gate"):
        same_site(scope("https://app.example.com"))
    assert "https://app.example.com" in caplog.text
    assert "CSRF_TRUSTED_ORIGINS" in caplog.text


def test_a_refusal_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """What a stranger sends can't write lines of the log, nor fill it."""
    with caplog.at_level(logging.WARNING, "livebell.gate"):
        same_site(scope("x\nlivebell.gate: all is well" + "a" * 10_000))
    assert len(caplog.messages[0].splitlines()) == 1
    assert len(caplog.messages[0]) < 500


# The session


@pytest.fixture
def session(db: None) -> Client:
    """A browser that is logged in."""
    client = Client()
    client.force_login(person())
    return client


def cookie(client: Client) -> str:
    return f"sessionid={client.cookies['sessionid'].value}"


def session_user(scope: dict[str, Any]) -> str | None:
    """The key of the user whose session the cookie names."""
    key = session_key(scope)
    return sessions.users_of([key]).get(key) if key else None


def test_the_cookie_says_who_it_is(session: Client) -> None:
    """The session's user is the connection's."""
    assert session_user(scope(cookie=cookie(session))) == str(get_user_model().objects.get().pk)


def test_among_other_cookies_it_is_found(session: Client) -> None:
    """Other cookies don't matter."""
    assert session_user(scope(cookie=f"a=b; {cookie(session)}; c=d"))


def test_without_the_cookie_it_is_nobody(db: None) -> None:
    """Without a session there is no user."""
    assert session_user(scope()) is None


@pytest.mark.parametrize(
    "value", ["sessionid=wrong", "sessionid=", "sessionid", "other=1", ";;;", "a=b\xff; =", "sessionid=" + "a" * 5000]
)
def test_a_wrong_cookie_is_nobody(db: None, value: str) -> None:
    """A cookie that names no session, or can't be read, is nobody's."""
    assert session_user(scope(cookie=value)) is None


@pytest.mark.parametrize("end", ["logout", "password", "inactive", "deleted"])
def test_a_session_that_has_ended_is_nobodys(session: Client, end: str) -> None:
    """After logging out, changing the password, being switched off or deleted, the cookie is nobody's."""
    before, user = cookie(session), get_user_model().objects.get()
    if end == "logout":
        session.logout()
    elif end == "deleted":
        user.delete()
    else:
        user.is_active = end != "inactive"
        user.set_password("another" if end == "password" else None)
        user.save()
    assert session_user(scope(cookie=before)) is None


@pytest.mark.parametrize("engine", ["cache", "cached_db", "signed_cookies", "file"])
def test_every_session_engine_works(db: None, engine: str, tmp_path: Any) -> None:
    """Sessions that aren't rows are loaded one by one."""
    with override_settings(
        SESSION_ENGINE=f"django.contrib.sessions.backends.{engine}", SESSION_FILE_PATH=str(tmp_path)
    ):
        client = Client()
        client.force_login(person("alice"))
        assert session_user(scope(cookie=cookie(client))) == str(get_user_model().objects.get().pk)


@override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["for tests only"])
def test_a_rotated_secret_key_ends_no_session(session: Client) -> None:
    """The hash of the login may be one under a fallback key."""
    with override_settings(SECRET_KEY="for tests only", SECRET_KEY_FALLBACKS=[]):
        client = Client()
        client.force_login(get_user_model().objects.get())
    assert session_user(scope(cookie=cookie(client))) is not None


def test_many_sessions_cost_two_queries(db: None, django_assert_num_queries: Any) -> None:
    """However many ask at once."""
    clients = {name: Client() for name in "abcdefgh"}
    for name, client in clients.items():
        client.force_login(person(name))
    keys = [client.cookies["sessionid"].value for client in clients.values()]
    with django_assert_num_queries(2):
        assert len(sessions.users_of([*keys, "wrong"])) == 8


@override_settings(SESSION_COOKIE_NAME="other")
def test_the_cookie_may_have_another_name() -> None:
    """``SESSION_COOKIE_NAME`` is followed."""
    assert session_key(scope(cookie="sessionid=1; other=2")) == "2"

"""The list page and the JSON below it: about the logged-in user alone, never cached, and GET changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.apps import apps
from django.test import Client, override_settings
from django.urls import reverse

from livebell import api, store
from livebell.models import Receipt, Stream
from livebell.views import MAX_BODY
from tests.helpers import person

pytestmark = pytest.mark.django_db

LIST, ITEMS, MARK, FRAMES = (reverse(f"livebell:{name}") for name in ("list", "items", "mark", "frames"))
JSON = "application/json"


@pytest.fixture
def ann() -> Any:
    return person("ann")


@pytest.fixture
def bob() -> Any:
    return person("bob")


@pytest.fixture
def page(ann: Any) -> Client:
    """Ann's browser."""
    client = Client()
    client.force_login(ann)
    return client


@pytest.fixture
def own(ann: Any) -> str:
    """Ann's own stream."""
    return f"user:{ann.pk}"


def send(stream: str, *titles: str, **content: Any) -> None:
    store.number([row for title in titles for row in store.put({"title": title, **content}, [stream]).rows])


def post(client: Client, body: Any, **more: Any) -> Any:
    content = body if isinstance(body, (str, bytes)) else json.dumps(body)
    return client.post(MARK, content, content_type=JSON, **more)


def snapshot(client: Client) -> dict[str, Any]:
    return dict(post(client, {}).json()["snapshot"])


# Items


def test_items_are_the_newest_first(page: Client, own: str) -> None:
    """The list as JSON: stream, number and content of each, with epoch and clock."""
    send(own, "1", "2", url="/u/")
    answer = page.get(ITEMS).json()
    assert [(item["stream"], item["seq"], item["title"]) for item in answer["items"]] == [(own, 2, "2"), (own, 1, "1")]
    assert (answer["epoch"], answer["next"]) == (store.epoch(), None)
    assert abs(answer["now"] - store.now()) < 60
    assert answer["items"][0]["url"] == "/u/"
    assert answer["items"][0] | {"read": False, "archived": False} == answer["items"][0]


def test_items_come_in_pages(page: Client, own: str) -> None:
    """``limit`` is the length of a page, ``before`` the mark of the next one."""
    send(own, *"12345")
    first = page.get(ITEMS, {"limit": 3}).json()
    second = page.get(ITEMS, {"limit": 3, "before": first["next"]}).json()
    assert [item["title"] for item in first["items"] + second["items"]] == list("54321")
    assert second["next"] is None


def test_items_can_be_filtered(page: Client, ann: Any, own: str) -> None:
    """``filter`` chooses what is unread, or archived."""
    send(own, "1", "2", "3")
    post(page, {"read": {own: [1]}, "archive": {own: [2]}})
    found = {
        only: [item["title"] for item in page.get(ITEMS, {"filter": only}).json()["items"]]
        for only in ("", "unread", "archived")
    }
    assert found == {"": ["3", "1"], "unread": ["3"], "archived": ["2"]}


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "x"},
        {"limit": "1.5"},
        {"limit": ""},
        {"limit": "9" * 5000},
        {"filter": "all"},
        {"before": "!"},
        {"before": "\0"},
        {"before": "é"},
    ],
    ids=str,
)
def test_items_asked_wrongly_are_400(page: Client, query: dict[str, str]) -> None:
    """A question that can't be read is answered with 400 and a reason, not with a traceback."""
    answer = page.get(ITEMS, query)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_items_of_others_are_not_shown(page: Client, bob: Any) -> None:
    """Another user's notifications are nowhere."""
    send(f"user:{bob.pk}", "secret")
    assert page.get(ITEMS).json()["items"] == []


def test_items_take_a_fixed_number_of_queries(page: Client, own: str, django_assert_num_queries: Any) -> None:
    """However long the list, it is four queries: session, user, standing, list."""
    store.epoch()
    send(own, *map(str, range(30)))
    with django_assert_num_queries(4):
        page.get(ITEMS)


# Mark


def test_marking_answers_the_snapshot_that_follows(page: Client, own: str) -> None:
    """After a change of marks the answer is the new snapshot."""
    send(own, "1", "2", "3")
    answer = post(page, {"read": {own: [2]}}).json()
    assert answer["epoch"] == store.epoch()
    assert (answer["snapshot"]["unread"], answer["snapshot"]["read"]) == (2, {own: [2]})
    assert answer["snapshot"]["at"] == {own: 3, "all": 0}


def test_every_kind_of_mark_is_taken(page: Client, own: str) -> None:
    """read, through, seen, archive and unarchive may come together."""
    send(own, *"123456")
    found = post(page, {"through": {own: 1}, "seen": {own: 5}, "read": {own: [3]}, "archive": {own: [4]}}).json()[
        "snapshot"
    ]
    assert (found["unread"], found["unseen"], found["through"][own]) == (3, 1, 1)
    post(page, {"unarchive": {own: [4]}})
    assert not Receipt.objects.filter(archived=True).exists()


def test_marking_twice_is_marking_once(page: Client, own: str) -> None:
    """A repeated request changes nothing more but ``rev``."""
    send(own, "1", "2")
    first, second = (post(page, {"read": {own: [1]}}).json()["snapshot"] for _ in range(2))
    assert second.pop("rev") == first.pop("rev") + 1
    assert first == second


def test_foreign_entries_answer_like_missing_ones(page: Client, bob: Any) -> None:
    """Marking what belongs to another, what exists nowhere, and a stream that doesn't, all answer the same, and change nothing."""
    foreign = f"user:{bob.pk}"
    send(foreign, "secret")
    before = snapshot(page)
    for stream, seq in ((foreign, 1), (foreign, 9), ("user:999999", 1), ("nowhere", 1), ("", 1), ("\0", 1)):
        answer = post(
            page, {"read": {stream: [seq]}, "through": {stream: seq}, "archive": {stream: [seq]}, "seen": {stream: seq}}
        )
        assert answer.status_code == 200
        assert answer.json()["snapshot"] | {"rev": 0} == before | {"rev": 0}
    assert not Receipt.objects.exists()
    assert api.unread(bob) == 1


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        "5",
        '{"read": 5}',
        '{"read": {"a": 1}}',
        '{"read": {"a": ["x"]}}',
        '{"read": {"a": [1.5]}}',
        '{"through": {"a": [1]}}',
        '{"through": {"a": null}}',
        '{"delete": {"a": [1]}}',
        '{"user": 1}',
        b'{"read": {"\xff": [1]}}',
        b"\xff\xfe",
        "[" * 10_000,
        '{"read": ' * 2_000,
    ],
    ids=lambda body: repr(body[:30]),
)
def test_a_mark_that_cannot_be_read_is_400(page: Client, body: Any) -> None:
    """A body that isn't a change of marks is answered with 400 and a reason, not with a traceback."""
    answer = post(page, body)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert not Receipt.objects.exists()


@pytest.mark.parametrize("seq", [-1, 0, 2**31, 2**63, 10**40, -(10**40)])
def test_numbers_that_no_database_holds_are_passed_over(page: Client, own: str, seq: int) -> None:
    """A huge or negative number is a position like any other that doesn't exist."""
    send(own, "1")
    for body in ({"read": {own: [seq]}}, {"archive": {own: [seq]}}, {"unarchive": {own: [seq]}}):
        assert post(page, body).json()["snapshot"]["unread"] == 1
    assert post(page, {"through": {own: seq}, "seen": {own: seq}}).json()["snapshot"]["unread"] == (0 if seq > 0 else 1)


def test_a_mark_above_64_kib_is_413(page: Client) -> None:
    """A body above 64 KiB is refused."""
    assert post(page, " " * MAX_BODY + "{}").status_code == 413
    assert post(page, " " * (MAX_BODY - 2) + "{}").status_code == 200


def test_a_form_is_no_mark(page: Client) -> None:
    """A body that a form sends is answered with 400."""
    assert page.post(MARK, {"read": "1"}).status_code == 400
    assert page.post(MARK, "read=1", content_type="application/x-www-form-urlencoded").status_code == 400


# Frames


def ask(client: Client, epoch: Any = None, cursor: Any = None, **headers: Any) -> Any:
    query = {} if epoch is None else {"epoch": epoch}
    if cursor is not None:
        query["cursor"] = cursor if isinstance(cursor, str) else json.dumps(cursor)
    return client.get(FRAMES, query, headers=headers)


def types(answer: Any) -> list[str]:
    return [frame["type"] for frame in answer.json()["frames"]]


def test_from_a_position_come_the_entries_above_it(page: Client, own: str) -> None:
    """Who says where it stands gets hello, the snapshot, and what is above, from there on."""
    send(own, "1", "2", "3")
    frames = ask(page, store.epoch(), {own: 1, "all": 0}).json()["frames"]
    assert [frame["type"] for frame in frames] == ["hello", "snapshot", "entries"]
    assert (frames[0]["v"], frames[0]["epoch"]) == (1, store.epoch())
    assert frames[1]["snapshot"]["unread"] == 3
    assert (frames[2]["stream"], frames[2]["prev"]) == (own, 1)
    assert [(entry["seq"], entry["title"]) for entry in frames[2]["entries"]] == [(2, "2"), (3, "3")]


def test_from_the_present_comes_the_snapshot_alone(page: Client, own: str) -> None:
    """Who is up to date gets no entries."""
    send(own, "1")
    assert types(ask(page, store.epoch(), {own: 1, "all": 0})) == ["hello", "snapshot"]


def test_a_stream_that_the_cursor_lacks_is_only_counted(page: Client, own: str) -> None:
    """A stream that is new to the client is adopted with the snapshot, without its past."""
    send("all", "1")
    assert types(ask(page, store.epoch(), {own: 0})) == ["hello", "snapshot"]


@pytest.mark.parametrize(
    ("epoch", "cursor"),
    [
        (None, None),
        ("now", None),
        ("now", {}),
        ("other", {"own": 1}),
        ("", {"own": 1}),
        ("now", {"own": 9}),
        ("now", {"own": 10**30}),
        ("now", {"own": 1, "all": 1}),
    ],
    ids=["nothing", "no cursor", "empty cursor", "other epoch", "no epoch", "above the head", "far above", "one above"],
)
def test_a_position_that_cannot_be_continued_is_a_reset(page: Client, own: str, epoch: Any, cursor: Any) -> None:
    """No cursor, another epoch, or a position above the head: forget everything and take the snapshot."""
    send(own, "1", "2")
    cursor = cursor and {own if name == "own" else name: seq for name, seq in cursor.items()}
    answer = ask(page, store.epoch() if epoch == "now" else epoch, cursor)
    assert types(answer) == ["hello", "reset"]
    assert answer.json()["frames"][1]["snapshot"]["at"] == {own: 2, "all": 0}


def test_a_position_below_the_floor_is_a_reset(page: Client, own: str) -> None:
    """What has been pruned behind a position can't be sent."""
    send(own, *"12345")
    Stream.objects.filter(name=own).update(floor=3)
    assert types(ask(page, store.epoch(), {own: 2, "all": 0})) == ["hello", "reset"]
    assert types(ask(page, store.epoch(), {own: 3, "all": 0})) == ["hello", "snapshot", "entries"]


def test_a_cursor_opens_no_stream(page: Client, own: str, bob: Any) -> None:
    """Naming another's stream in the cursor brings nothing of it."""
    foreign = f"user:{bob.pk}"
    send(foreign, "secret")
    answer = ask(page, store.epoch(), {own: 0, foreign: 0})
    assert foreign not in answer.content.decode()
    assert types(answer) == ["hello", "snapshot"]


@pytest.mark.parametrize(
    "cursor",
    ["x", "[]", "5", '{"a": "b"}', '{"a": 1.5}', '{"a": -1}', '{"a": null}', "[" * 5000, "\0", "\x80"],
    ids=lambda cursor: repr(cursor[:20]),
)
def test_a_cursor_that_cannot_be_read_is_400(page: Client, cursor: str) -> None:
    """A cursor that isn't one is answered with 400 and a reason."""
    answer = ask(page, "e", cursor)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("cursor: ")


def test_the_same_answer_is_304(page: Client, own: str) -> None:
    """Who has the answer already gets 304 without a body, and with the same ETag."""
    send(own, "1")
    cursor = {own: 1, "all": 0}
    etag = ask(page, store.epoch(), cursor).headers["ETag"]
    again = ask(page, store.epoch(), cursor, if_none_match=etag)
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)
    assert "no-store" in again.headers["Cache-Control"]


@pytest.mark.parametrize("change", ["entry", "mark", "epoch"])
def test_another_answer_has_another_etag(page: Client, own: str, change: str) -> None:
    """After a new entry, a change of marks, or a new epoch it is 200 again."""
    send(own, "1")
    cursor, epoch = {own: 1, "all": 0}, store.epoch()
    etag = ask(page, epoch, cursor).headers["ETag"]
    {"entry": lambda: send(own, "2"), "mark": lambda: post(page, {"read": {own: [1]}}), "epoch": store.new_epoch}[
        change
    ]()
    answer = ask(page, epoch, cursor, if_none_match=etag)
    assert answer.status_code == 200
    assert answer.headers["ETag"] != etag


def test_who_is_far_behind_gets_page_after_page(page: Client, own: str) -> None:
    """A client that sends each ETag and its new position back gets everything, though nothing changed in between."""
    send(own, *map(str, range(250)))
    at, etag, got, status = 0, "", [], 200
    while status == 200:
        answer = ask(page, store.epoch(), {own: at, "all": 0}, if_none_match=etag)
        etag, status = answer.headers["ETag"], answer.status_code
        if status == 200:
            got += [
                entry["seq"]
                for frame in answer.json()["frames"]
                if frame["type"] == "entries"
                for entry in frame["entries"]
            ]
            at = got[-1]
    assert got == list(range(1, 251))


def test_frames_take_a_fixed_number_of_queries(page: Client, own: str, django_assert_num_queries: Any) -> None:
    """However much there is, it is four queries: session, user, standing, entries."""
    epoch = store.epoch()
    send(own, *map(str, range(30)))
    with django_assert_num_queries(4):
        ask(page, epoch, {own: 0, "all": 0})


# The list page


def test_the_page_shows_the_list(page: Client, own: str) -> None:
    """The page has each title, its link, its text, and the number of what is unread, all escaped."""
    send(own, "Build <b>passed</b>", url="/builds/1/?a&b", body="<script>", actor="Ann & Bob")
    html = page.get(LIST).content.decode()
    assert "Build &lt;b&gt;passed&lt;/b&gt;" in html
    assert 'href="/builds/1/?a&amp;b"' in html
    assert "&lt;script&gt;" in html
    assert "Ann &amp; Bob" in html
    assert '<span class="lb-badge">1</span>' in html


def test_the_page_has_no_script(page: Client, own: str) -> None:
    """The page works without JavaScript: it has none."""
    send(own, "T")
    assert "<script" not in page.get(LIST).content.decode()


def test_the_page_goes_on_to_older_ones(page: Client, own: str) -> None:
    """The link "Older" leads to the rest."""
    send(own, *(f"title-{number}" for number in range(25)))
    first = page.get(LIST)
    assert "title-24" in first.content.decode()
    assert "title-4<" not in first.content.decode()
    older = page.get(LIST, {"before": first.context["next"]}).content.decode()
    assert "title-4<" in older
    assert "Older" not in older


@pytest.mark.parametrize("query", [{"before": "!"}, {"before": "e30x"}])
def test_a_broken_link_leads_to_the_first_page(page: Client, query: dict[str, str]) -> None:
    """A mark that can't be read leads back to the list."""
    assert page.get(LIST, query).headers["Location"] == LIST


def test_an_unknown_filter_is_no_filter(page: Client, own: str) -> None:
    """A filter that doesn't exist shows everything."""
    send(own, "T")
    assert "T" in page.get(LIST, {"filter": "nonsense"}).content.decode()


@pytest.mark.parametrize(("action", "unread", "archived"), [("read", 1, 0), ("archive", 1, 1)])
def test_a_button_acts_on_one(page: Client, ann: Any, own: str, action: str, unread: int, archived: int) -> None:
    """The buttons of an item read or archive it, and lead back to the list."""
    send(own, "1", "2")
    answer = page.post(LIST, {"action": action, "ref": f"{own} 1"})
    assert (answer.status_code, answer.headers["Location"]) == (302, LIST)
    assert api.unread(ann) == unread
    assert Receipt.objects.filter(archived=True).count() == archived


def test_the_button_moves_back(page: Client, own: str) -> None:
    """An archived item can be moved back."""
    send(own, "1")
    for action in ("archive", "unarchive"):
        page.post(LIST, {"action": action, "ref": f"{own} 1"})
    assert not Receipt.objects.filter(archived=True).exists()


def test_the_button_for_all_reads_what_the_page_has_shown(page: Client, ann: Any, own: str) -> None:
    """ "Mark all as read" takes what was there when the page was made, and leaves what came since."""
    send(own, "1", "2")
    through = page.get(LIST).context["through_json"]
    send(own, "3")
    page.post(LIST, {"action": "read_all", "through": through})
    assert api.unread(ann) == 1


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"action": "delete", "ref": "user:1 1"},
        {"action": "through", "ref": "user:1 1"},
        {"action": "read"},
        {"action": "read", "ref": "user:1"},
        {"action": "read", "ref": "user:1 x"},
        {"action": "read_all"},
        {"action": "read_all", "through": "x"},
        {"action": "read_all", "through": "[]"},
        {"action": "read_all", "through": '{"a": "b"}'},
    ],
    ids=str,
)
def test_a_form_that_cannot_be_read_is_400(page: Client, form: dict[str, str]) -> None:
    """A form that this page doesn't have is answered with 400 and a sentence."""
    answer = page.post(LIST, form)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "text/plain"


def test_a_form_for_a_foreign_entry_changes_nothing(page: Client, bob: Any) -> None:
    """A form that names another's entry answers like any other, and changes nothing."""
    send(f"user:{bob.pk}", "secret")
    assert page.post(LIST, {"action": "read", "ref": f"user:{bob.pk} 1"}).status_code == 302
    assert api.unread(bob) == 1


@pytest.mark.parametrize("following", ["/livebell/?filter=unread", "/", "?filter=archived"])
def test_a_form_leads_back_to_where_it_was(page: Client, own: str, following: str) -> None:
    """A path of this site is followed."""
    send(own, "1")
    answer = page.post(LIST, {"action": "read", "ref": f"{own} 1", "next": following})
    assert answer.headers["Location"] == following


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "http:evil.example",
        "/\t/evil.example",
        "\x08//evil.example",
        "https://testserver@evil.example/",
        "",
    ],
)
def test_a_form_leads_nowhere_else(page: Client, own: str, following: str) -> None:
    """What would lead to another site leads to the list."""
    send(own, "1")
    answer = page.post(LIST, {"action": "read", "ref": f"{own} 1", "next": following})
    assert answer.headers["Location"] == LIST


def test_the_page_takes_a_fixed_number_of_queries(page: Client, own: str, django_assert_num_queries: Any) -> None:
    """However long the list, the page is four queries: session, user, standing, list."""
    store.epoch()
    send(own, *map(str, range(30)))
    with django_assert_num_queries(4):
        page.get(LIST)


@override_settings(LIVEBELL={"BASE_TEMPLATE": "page.html"})
def test_the_page_extends_the_projects_template(page: Client) -> None:
    """``BASE_TEMPLATE`` is the template around the list."""
    assert "page.html" in [template.name for template in page.get(LIST).templates]


# Who may ask, and what stays private


@pytest.mark.parametrize("following", ["", "?filter=unread"])
def test_without_a_session_the_page_leads_to_the_login(client: Client, following: str) -> None:
    """Who isn't logged in is sent to the login page, and back afterwards."""
    answer = client.get(LIST + following)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/accounts/login/?next=/livebell/")


@override_settings(LOGIN_URL="page")
def test_the_login_may_be_the_name_of_a_view(client: Client) -> None:
    """``LOGIN_URL`` may be a name, as everywhere in Django."""
    assert client.get(LIST).headers["Location"] == f"/?next={LIST}"


def test_without_a_session_a_form_changes_nothing(client: Client) -> None:
    """A form without a session leads to the login as well."""
    assert client.post(LIST, {"action": "read", "ref": "all 1"}).headers["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize(("method", "url"), [("get", ITEMS), ("get", FRAMES), ("post", MARK)])
def test_without_a_session_it_is_401(client: Client, method: str, url: str) -> None:
    """A script gets 401, and no redirect that it can't follow."""
    answer = getattr(client, method)(url)
    assert (answer.status_code, answer.json()) == (401, {"error": "nobody is logged in"})
    assert "no-store" in answer.headers["Cache-Control"]


def test_a_user_who_is_switched_off_is_nobody(page: Client, ann: Any) -> None:
    """A session of a user who may no longer log in is no session."""
    ann.is_active = False
    ann.save()
    assert page.get(ITEMS).status_code == 401


@pytest.mark.parametrize("url", [LIST, ITEMS, FRAMES])
def test_nothing_is_cached(page: Client, url: str) -> None:
    """No answer may be stored, not by the browser either."""
    assert "no-store" in page.get(url).headers["Cache-Control"]
    assert "private" in page.get(url).headers["Cache-Control"]


def test_answers_to_posts_are_not_cached(page: Client, own: str) -> None:
    """Neither are those to a change of marks."""
    send(own, "1")
    for answer in (post(page, {}), post(page, "x"), page.post(LIST, {"action": "read", "ref": f"{own} 1"})):
        assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    ("method", "url"),
    [("post", ITEMS), ("post", FRAMES), ("get", MARK), ("put", MARK), ("delete", LIST), ("put", LIST)],
)
def test_another_method_is_405(page: Client, method: str, url: str) -> None:
    """Each address has its methods."""
    assert getattr(page, method)(url).status_code == 405


def rows() -> dict[str, list[Any]]:
    """Everything in Livebell's tables."""
    return {
        model.__name__: sorted(model.objects.values_list(), key=repr)
        for model in apps.get_app_config("livebell").get_models()
    }


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize(
    "url", [LIST, ITEMS, FRAMES, MARK, f"{LIST}?action=read_all&through=%7B%22all%22:1%7D", f"{ITEMS}?filter=unread"]
)
def test_get_changes_nothing(page: Client, own: str, method: str, url: str) -> None:
    """A prefetching browser, a crawler or a scanner of mails marks nothing."""
    store.epoch()
    send(own, "1")
    send("all", "2")
    before = rows()
    getattr(page, method)(url)
    assert rows() == before


@pytest.fixture
def strict(ann: Any) -> Client:
    """A browser whose requests are checked for forgery."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(ann)
    return client


def test_without_a_token_nothing_is_marked(strict: Client, ann: Any, own: str) -> None:
    """A request that another site has forged is refused."""
    send(own, "1")
    assert post(strict, {"through": {own: 1}}).status_code == 403
    assert strict.post(LIST, {"action": "read", "ref": f"{own} 1"}).status_code == 403
    assert api.unread(ann) == 1


def test_with_the_token_in_the_header_it_is_marked(strict: Client, ann: Any, own: str) -> None:
    """The script sends the token as ``X-CSRFToken``."""
    send(own, "1")
    strict.get(LIST)
    assert (
        post(strict, {"through": {own: 1}}, headers={"x-csrftoken": strict.cookies["csrftoken"].value}).status_code
        == 200
    )
    assert api.unread(ann) == 0


def test_with_the_token_in_the_form_it_is_marked(strict: Client, ann: Any, own: str) -> None:
    """The page's own form carries the token."""
    send(own, "1")
    token = strict.get(LIST).context["csrf_token"]
    strict.post(LIST, {"action": "read", "ref": f"{own} 1", "csrfmiddlewaretoken": str(token)})
    assert api.unread(ann) == 0


@override_settings(
    MIDDLEWARE=[name for name in __import__("tests.settings", fromlist=["MIDDLEWARE"]).MIDDLEWARE if "Csrf" not in name]
)
def test_the_token_is_asked_for_without_the_middleware_too(strict: Client, ann: Any, own: str) -> None:
    """A project without Django's CSRF middleware is protected all the same."""
    send(own, "1")
    assert post(strict, {"through": {own: 1}}).status_code == 403
    assert api.unread(ann) == 1


@pytest.mark.parametrize("more", [{}, {"content_type": "application/x-www-form-urlencoded", "data": "read=1"}])
def test_a_form_with_a_token_is_no_mark_either(strict: Client, more: dict[str, Any]) -> None:
    """A form whose token is right, so that its body has been read as a form, is answered with 400."""
    token = strict.get(LIST).context["csrf_token"]
    sent = {"data": {"csrfmiddlewaretoken": str(token)}, "headers": {"x-csrftoken": str(token)}} | more
    assert strict.post(MARK, **sent).status_code == 400

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { LiveBell } from "../../src/livebell/static/livebell/src/client.js";
import {
  FakeSocket,
  FakeSource,
  counted,
  entries,
  hello,
  install,
  pass,
  reply,
  settle,
  snapshot,
  uninstall,
} from "./fakes.js";

const URLS = {
  socketUrl: "/ws/",
  streamUrl: "/stream/",
  framesUrl: "/frames/",
  itemsUrl: "/items/",
  markUrl: "/mark/",
};
let browser, bell;

const states = [];

function start(over = {}) {
  const initial = { epoch: "e", snapshot: snapshot({ unread: 1, at: { "user:1": 3 } }) };
  bell = new LiveBell({ ...URLS, csrf: "attr", initial, ...over });
  states.length = 0;
  bell.addEventListener("livebell:state", ({ detail }) => states.push(detail.state));
  return bell.start();
}

const connect = () => FakeSocket.last.open().receive(hello());

beforeEach(() => (browser = install()));
afterEach(() => (bell?.stop(), uninstall()));

test("says hello with its cursor, in the subprotocol", () => {
  start();
  const { url, protocol, sent } = FakeSocket.last.open();
  assert.deepEqual([url, protocol], ["ws://site.test/ws/", "livebell.v1"]);
  assert.deepEqual(sent, [{ type: "hello", v: 1, epoch: "e", cursor: { "user:1": 3 } }]);
});

test("a cursor that no frame could hold is left at home", () => {
  const at = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`order:${i}`, 5]));
  start({ initial: { epoch: "e", snapshot: snapshot({ at }) } });
  assert.deepEqual(FakeSocket.last.open().sent, [{ type: "hello", v: 1 }]);
});

test("counts what comes, tells of it, and is open", () => {
  start();
  const seen = [];
  bell.addEventListener("livebell:notification", ({ detail }) => seen.push(detail.title));
  connect().receive(entries(3, { seq: 4, title: "a" }, { seq: 5, title: "b" }));
  assert.deepEqual([bell.unread, bell.state, seen], [3, "open", ["a", "b"]]);
});

test("a hole closes, and the next connection asks from the same position", async () => {
  start();
  const first = connect().receive(entries(7, { seq: 8 }));
  assert.ok(first.closed);
  await pass(300);
  assert.deepEqual(FakeSocket.last.open().sent[0].cursor, { "user:1": 3 });
});

test("another epoch closes too; the reset that answers is taken", async () => {
  start();
  connect().receive({ ...counted({ rev: 4 }), epoch: "new" });
  await pass(300);
  connect().receive({ type: "reset", epoch: "new", snapshot: snapshot({ unread: 8 }) });
  assert.equal(bell.unread, 8);
});

test("frames of a connection that was given up are not heard", () => {
  start();
  const first = connect().receive(entries(7, { seq: 8 }));
  first.receive(entries(3, { seq: 4 }));
  assert.equal(bell.unread, 1);
});

test("waits longer after each failure, and starts over after three stable seconds", async () => {
  start();
  connect();
  const waits = [];
  for (let i = 0; i < 4; i++) {
    const before = Date.now();
    const sockets = FakeSocket.all.length;
    FakeSocket.last.drop();
    while (FakeSocket.all.length === sockets) await pass(50, 50);
    waits.push(Date.now() - before);
    connect();
  }
  await pass(3_100);
  FakeSocket.last.drop();
  const before = Date.now();
  const sockets = FakeSocket.all.length;
  while (FakeSocket.all.length === sockets) await pass(50, 50);
  assert.deepEqual([waits, Date.now() - before], [[250, 500, 1000, 2000], 250]);
});

test("bye says when to come back", async () => {
  start();
  connect().receive({ type: "bye", code: 4004, retry: 3_000 });
  await pass(3_200, 100);
  assert.equal(FakeSocket.all.length, 1);
  await pass(100, 50);
  assert.equal(FakeSocket.all.length, 2);
});

test("a drain is followed to the letter, and its wait is no outage", async () => {
  start();
  connect().receive({ type: "bye", code: 4000, retry: 8_000 });
  await pass(7_900, 100);
  assert.deepEqual([FakeSocket.all.length, states.at(-1)], [1, "connecting"]);
  await pass(100, 50);
  assert.equal(FakeSocket.all.length, 2);
  await pass(3_900, 100);
  assert.equal(states.at(-1), "connecting");
});

test("who does not find another server after a drain is offline in the end", async () => {
  start();
  connect().receive({ type: "bye", code: 4000, retry: 3_000 });
  await pass(9_500, 100);
  assert.equal(states.at(-1), "offline");
});

for (const code of [1009, 4504, 4505, 4506]) {
  test(`${code}: stops, says so, and keeps the number`, async () => {
    start();
    connect().drop(code);
    await pass(60_000);
    assert.deepEqual([FakeSocket.all.length, bell.state, bell.unread], [1, "ended", 1]);
  });
}

for (const code of [4501, 4502]) {
  test(`${code}: the session is over, nothing of it stays`, async () => {
    start();
    connect().drop(code);
    await pass(60_000);
    assert.deepEqual([FakeSocket.all.length, bell.state, bell.unread, bell.reader.snapshot], [1, "ended", 0, null]);
  });
}

test("somebody else's snapshot ends the page", () => {
  start();
  connect().receive({ type: "reset", epoch: "e", snapshot: snapshot({ unread: 7, at: { "user:2": 7, all: 1 } }) });
  assert.deepEqual([bell.state, bell.unread], ["ended", 0]);
});

test("a silent link is cut after ping and ten seconds", async () => {
  start();
  const first = connect();
  await pass(30_000);
  assert.ok(!first.closed);
  await pass(2_000);
  assert.ok(first.closed);
  assert.equal(FakeSocket.all.length, 2);
});

test("a ping keeps it alive", async () => {
  start();
  const first = connect();
  for (let i = 0; i < 5; i++) {
    await pass(20_000);
    first.receive({ type: "ping", now: 1 });
  }
  assert.ok(!first.closed);
});

test("eight hours asleep: connected within two seconds of waking, from its cursor", async () => {
  start();
  connect();
  await settle();
  mock.timers.setTime(Date.now() + 8 * 3_600_000);
  await pass(2_000, 250);
  connect().receive({ type: "reset", epoch: "e", snapshot: snapshot({ unread: 1_201, at: { "user:1": 1_203 } }) });
  assert.equal(bell.unread, 1_201);
});

test("asleep while it waited for its next try: tries on waking", async () => {
  start();
  connect();
  navigator.onLine = false;
  FakeSocket.last.drop();
  for (let i = 0; i < 12; i++) (await pass(30_000), FakeSocket.last.drop());
  const [sockets, now] = [FakeSocket.all.length, Date.now];
  mock.method(Date, "now", () => now() + 8 * 3_600_000); // timers stand still in a sleeping machine, its clock does not
  await pass(1_500, 250);
  assert.ok(FakeSocket.all.length > sockets);
});

test("online again, looked at again: tries at once", () => {
  start();
  connect();
  window.dispatchEvent(new Event("offline"));
  assert.equal(bell.state, "connecting");
  window.dispatchEvent(new Event("online"));
  assert.equal(FakeSocket.all.length, 2);
});

test("says offline only after five seconds", async () => {
  start();
  connect();
  navigator.onLine = false;
  window.dispatchEvent(new Event("offline"));
  await pass(4_000);
  assert.equal(bell.state, "connecting");
  await pass(3_000);
  assert.deepEqual([bell.state, bell.unread], ["offline", 1]);
});

test("into the back/forward cache and out again", async () => {
  start();
  const first = connect();
  window.dispatchEvent(new Event("pagehide"));
  assert.ok(first.closed);
  await pass(60_000);
  assert.equal(FakeSocket.all.length, 1);
  window.dispatchEvent(new Event("pageshow"));
  assert.equal(FakeSocket.all.length, 2);
});

test("no WebSocket: server-sent events, at once, and the next page begins there", () => {
  start();
  FakeSocket.last.drop();
  const source = FakeSource.last;
  assert.equal(new URL(source.url).searchParams.get("cursor"), '{"user:1":3}');
  source.receive(hello(), entries(3, { seq: 4 }));
  assert.deepEqual([bell.state, bell.unread, localStorage.getItem("livebell:rung")], ["open", 2, "1"]);
  bell.stop();
  start();
  assert.deepEqual([FakeSocket.all.length, FakeSource.all.length], [1, 2]);
});

test("a WebSocket that hangs costs four seconds, once", async () => {
  start();
  await pass(5_500);
  assert.equal(FakeSource.all.length, 1);
});

test("one that has worked gets three tries before another way does", async () => {
  start();
  connect().drop();
  for (let i = 0; i < 2; i++) {
    while (FakeSocket.last.closed) await pass(100, 100);
    FakeSocket.last.drop();
    assert.equal(FakeSource.all.length, 0);
  }
  while (FakeSocket.last.closed) await pass(100, 100);
  FakeSocket.last.drop();
  assert.equal(FakeSource.all.length, 1);
});

test("a refusal by the server itself is no reason for another way", async () => {
  start();
  FakeSocket.last.open().drop(4004);
  await pass(1_000);
  assert.deepEqual([FakeSocket.all.length, FakeSource.all.length], [2, 0]);
});

const blocked = () => (FakeSocket.last.drop(), FakeSource.last.fail());

test("no events either: long polls at the same address, one after the other; the first is short", async () => {
  const answers = [];
  browser.answer = () => new Promise((done) => answers.push(done));
  start();
  blocked();
  await settle();
  const asked = () => browser.requests.at(-1).url;
  assert.deepEqual([asked().pathname, asked().searchParams.get("wait"), bell.state], ["/stream/", "1", "connecting"]);
  await pass(1_000);
  answers[0](reply(200, { frames: [] }));
  await settle();
  assert.deepEqual([bell.state, asked().searchParams.get("wait"), asked().searchParams.get("rev")], ["open", "25", "0"]);
  await pass(5_000);
  answers[1](reply(200, { frames: [entries(3, { seq: 4 })] }));
  await settle();
  assert.deepEqual([bell.unread, answers.length], [2, 3]);
  assert.equal(asked().searchParams.get("cursor"), '{"user:1":4}');
});

test("long polls that are cut go on from the same position", async () => {
  let fail;
  browser.answer = (url) =>
    url.searchParams.get("wait") === "1" ? reply(200, { frames: [] }) : new Promise((_, reject) => (fail = reject));
  start();
  blocked();
  await settle();
  await pass(12_000);
  fail(new Error("cut"));
  await pass(1_000, 100);
  assert.deepEqual([bell.state, browser.requests.length], ["open", 4]);
});

test("a server that does not hold is not asked again and again", async () => {
  browser.answer = (url) => reply(200, { frames: [] });
  start();
  blocked();
  await settle();
  const before = browser.requests.length;
  await pass(60_000);
  assert.ok(browser.requests.length - before < 30);
});

const only = (path, answer) => (url, init) => (url.pathname === path ? answer(url, init) : reply(404));

test("a server that can't hold a request is asked every four seconds, with its ETag; hidden pages ask less", async () => {
  browser.answer = only("/frames/", (url, { headers }) =>
    headers["If-None-Match"] ? reply(304, {}, { ETag: "t" }) : reply(200, { frames: [] }, { ETag: "t" }),
  );
  start();
  blocked();
  await pass(1_000);
  assert.deepEqual([bell.state, localStorage.getItem("livebell:rung")], ["poll", "3"]);
  const before = browser.requests.length;
  await pass(20_000);
  assert.equal(browser.requests.length - before, 5);
  assert.equal(browser.requests.at(-1).init.headers["If-None-Match"], "t");
  document.visibilityState = "hidden";
  document.dispatchEvent(new Event("visibilitychange"));
  await pass(4_000);
  const hidden = browser.requests.length;
  await pass(60_000);
  const asked = browser.requests.slice(hidden).filter(({ url }) => url.pathname === "/frames/");
  assert.equal(asked.length, 3);
});

test("pages of frames are fetched one after the other without a pause", async () => {
  const next = (url) => JSON.parse(url.searchParams.get("cursor"))["user:1"];
  browser.answer = only("/frames/", (url) =>
    reply(200, { frames: next(url) < 9 ? [entries(next(url), { seq: next(url) + 1 })] : [] }),
  );
  start();
  blocked();
  await settle();
  await settle();
  assert.equal(bell.unread, 7);
});

test("a poll without a session ends", async () => {
  browser.answer = () => reply(401);
  start();
  blocked();
  await settle();
  assert.equal(bell.state, "ended");
});

test("nothing works: backs off, then tries from the best again", async () => {
  browser.answer = () => reply(503);
  start();
  blocked();
  await settle();
  await pass(300, 100);
  assert.equal(FakeSocket.all.length, 2);
});

test("a full server says when to come back, and is left alone until then", async () => {
  browser.answer = () => reply(503, {}, { "Retry-After": "3" });
  start();
  blocked();
  await settle();
  const before = browser.requests.length;
  await pass(2_900, 100);
  assert.deepEqual([browser.requests.length, browser.requests.at(-1).url.pathname], [before, "/stream/"]);
  await pass(700, 100);
  assert.equal(FakeSocket.all.length, 2);
});

test("a better way takes over with its first frame; nothing is lost or doubled", async () => {
  start();
  FakeSocket.last.drop();
  const source = FakeSource.last.receive(hello());
  await pass(20_000);
  source.receive({ type: "ping", now: 1 });
  await pass(11_500);
  assert.equal(FakeSocket.all.length, 2);
  const socket = FakeSocket.last.open();
  source.receive(entries(3, { seq: 4 }));
  assert.ok(!source.closed);
  socket.receive(hello(), entries(3, { seq: 4 }, { seq: 5 }));
  assert.deepEqual([source.closed, bell.unread, bell.state], [true, 3, "open"]);
});

test("marking posts the token and takes the number from the answer", async () => {
  browser.answer = () => reply(200, { epoch: "e", snapshot: snapshot({ unread: 0, rev: 1, at: { "user:1": 4 } }) });
  start();
  connect().receive(entries(3, { seq: 4 }));
  await bell.readAll();
  const { init } = browser.requests.at(-1);
  assert.deepEqual([init.headers["X-CSRFToken"], JSON.parse(init.body)], ["tok", { through: { "user:1": 4 } }]);
  assert.equal(bell.unread, 0);
});

test("a stale cookie: the page's own token is tried next", async () => {
  browser.answer = (url, { headers }) =>
    headers["X-CSRFToken"] === "attr" ? reply(200, { epoch: "e", snapshot: snapshot({ rev: 1 }) }) : reply(403);
  start();
  await bell.readAll();
  assert.equal(bell.unread, 0);
});

test("a mark that fails rejects, and leaves the number alone", async () => {
  browser.answer = () => reply(500);
  start();
  await assert.rejects(bell.readAll());
  assert.equal(bell.unread, 1);
});

test("a push is told under its own name too, unless that name is ours", () => {
  start();
  const seen = [];
  for (const name of ["push", "changed", "state"]) bell.addEventListener(`livebell:${name}`, () => seen.push(name));
  connect();
  seen.length = 0;
  FakeSocket.last.receive({ type: "push", topic: "order:15", event: "changed", data: 1, key: "" });
  FakeSocket.last.receive({ type: "push", topic: "order:15", event: "state", data: 1, key: "" });
  assert.deepEqual(seen, ["push", "changed", "push"]);
});

test("time is the server's", () => {
  start();
  FakeSocket.last.open().receive(hello({ now: 5_000 }));
  assert.equal(bell.now(), 5_000_000);
});

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { LiveBell } from "../../src/livebell/static/livebell/src/client.js";
import { FakeSocket, counted, entries, hello, install, pass, reply, settle, snapshot, uninstall } from "./fakes.js";

const URLS = {
  socketUrl: "/ws/",
  streamUrl: "/stream/",
  framesUrl: "/frames/",
  itemsUrl: "/items/",
  markUrl: "/mark/",
};
let browser, open;

function tab(over = {}, seen = {}) {
  const initial = { epoch: "e", snapshot: snapshot(seen) };
  const bell = new LiveBell({ ...URLS, userKey: "one", initial, ...over }).start();
  open.push(bell);
  return bell;
}

const connect = () => FakeSocket.last.open().receive(hello());
const numbers = () => open.map((bell) => bell.unread);

beforeEach(() => ((browser = install()), (open = [])));
afterEach(() => (open.forEach((bell) => bell.stop()), uninstall()));

test("ten tabs, one socket, the same number in each", () => {
  for (let i = 0; i < 10; i++) tab();
  connect().receive(entries(0, { seq: 1 }, { seq: 2 }));
  assert.equal(FakeSocket.all.length, 1);
  assert.deepEqual(numbers(), Array(10).fill(2));
});

test("followers know whether the link is open", () => {
  const [, second] = [tab(), tab()];
  connect();
  const third = tab();
  assert.deepEqual([second.state, third.state], ["open", "open"]);
});

test("a tab that joins later knows what it missed", () => {
  tab();
  connect().receive(
    entries(0, { seq: 1, title: "a" }),
    counted({ rev: 1, unread: 1, at: { "user:1": 1 } }),
    entries(1, { seq: 2 }),
  );
  tab();
  assert.deepEqual(numbers(), [2, 2]);
});

test("a page that is fresher than the leader tells the leader", () => {
  tab();
  tab({}, { unread: 5, rev: 2, at: { "user:1": 5 } });
  assert.deepEqual(numbers(), [5, 5]);
  assert.deepEqual(FakeSocket.last.open().sent[0].cursor, { "user:1": 5 });
});

test("the leader dies: the next one connects at once, from where it was", async () => {
  const [first] = [tab(), tab(), tab()];
  connect().receive(entries(0, { seq: 1 }));
  first.stop();
  await settle();
  assert.equal(FakeSocket.all.length, 2);
  assert.deepEqual(FakeSocket.last.open().sent[0].cursor, { "user:1": 1 });
  FakeSocket.last.receive(hello(), entries(1, { seq: 2 }));
  assert.deepEqual(numbers(), [1, 2, 2]);
});

test("a frame the leader did not pass on comes by the new connection, once", async () => {
  const [first, second] = [tab(), tab()];
  const told = [];
  second.addEventListener("livebell:notification", ({ detail }) => told.push(detail.seq));
  connect().receive(entries(0, { seq: 1 }));
  first.tabs.channel.close();
  first.tabs.channel.postMessage = () => {};
  FakeSocket.last.receive(entries(1, { seq: 2 }));
  first.stop();
  await settle();
  connect().receive(entries(1, { seq: 2 }, { seq: 3 }));
  assert.deepEqual([second.unread, told], [3, [1, 2, 3]]);
});

test("a follower with a hole asks the leader", () => {
  const [, second] = [tab(), tab()];
  connect();
  const { onmessage } = second.tabs.channel;
  second.tabs.channel.onmessage = null;
  FakeSocket.last.receive(entries(0, { seq: 1 }));
  second.tabs.channel.onmessage = onmessage;
  FakeSocket.last.receive(entries(1, { seq: 2 }));
  assert.deepEqual(numbers(), [2, 2]);
});

test("marked in one tab, right in all at once", async () => {
  browser.answer = () => reply(200, { epoch: "e", snapshot: snapshot({ rev: 1, at: { "user:1": 2 } }) });
  const [, second] = [tab(), tab(), tab()];
  connect().receive(entries(0, { seq: 1 }, { seq: 2 }));
  await second.readAll();
  assert.deepEqual(numbers(), [0, 0, 0]);
});

test("the session ends for every tab, and no tab takes over", async () => {
  for (let i = 0; i < 3; i++) tab({}, { unread: 3 });
  connect().drop(4502);
  await pass(10_000);
  assert.deepEqual(
    open.map((bell) => bell.state),
    ["ended", "ended", "ended"],
  );
  assert.deepEqual([numbers(), FakeSocket.all.length], [[0, 0, 0], 1]);
});

test("another user of the same browser is another world", () => {
  tab({ userKey: "one" });
  connect().receive(entries(0, { seq: 1 }));
  const other = tab({ userKey: "two" }, { at: { "user:2": 0 } });
  assert.equal(FakeSocket.all.length, 2);
  FakeSocket.last.open().receive(hello(), { ...entries(0, { seq: 1 }, { seq: 2 }), stream: "user:2" });
  assert.deepEqual([numbers(), other.state], [[1, 2], "open"]);
});

test("without locks each tab connects alone", () => {
  navigator.locks = undefined;
  [tab(), tab()].forEach(() => {});
  assert.equal(FakeSocket.all.length, 2);
});

test("a push reaches every tab once", () => {
  const told = [];
  [tab(), tab()].forEach((bell, i) => bell.addEventListener("livebell:push", () => told.push(i)));
  connect().receive({ type: "push", topic: "t", event: "changed", data: 1, key: "k" });
  assert.deepEqual(told.sort(), [0, 1]);
});

test("a hidden leader polls quickly again when another tab is looked at", async () => {
  browser.answer = (url, { headers }) =>
    headers["If-None-Match"] ? reply(304, {}, { ETag: "t" }) : reply(200, { frames: [] }, { ETag: "t" });
  localStorage.setItem("livebell:rung", 3);
  tab();
  await pass(1_000);
  document.visibilityState = "hidden";
  document.dispatchEvent(new Event("visibilitychange"));
  await pass(10_000);
  const before = browser.requests.length;
  tab().tabs.post({ seen: true });
  await pass(5_000);
  assert.ok(browser.requests.length >= before + 2);
});

test("a leader that was frozen with its lock loses it to the tab that is looked at, and follows when it thaws", async () => {
  const [first, second] = [tab(), tab()];
  connect();
  const { onmessage } = first.tabs.channel;
  first.tabs.channel.onmessage = null;
  document.dispatchEvent(new Event("visibilitychange"));
  await pass(2_500);
  assert.equal(FakeSocket.all.length, 2);
  assert.ok(FakeSocket.all[0].closed);
  first.tabs.channel.onmessage = onmessage;
  connect().receive(entries(0, { seq: 1 }));
  assert.deepEqual([numbers(), first.tabs.leads, second.tabs.leads], [[1, 1], false, true]);
});

test("a leader that answers keeps the lead", async () => {
  const [first] = [tab(), tab()];
  connect();
  document.dispatchEvent(new Event("visibilitychange"));
  await pass(5_000);
  assert.deepEqual([first.tabs.leads, FakeSocket.all.length], [true, 1]);
});

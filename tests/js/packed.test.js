// What browsers load is packed from src/: that it still works is worth a test of its own.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { FakeSocket, entries, hello, install, snapshot, uninstall } from "./fakes.js";

const read = (name) => readFileSync(new URL(`../../src/livebell/static/livebell/${name}`, import.meta.url), "utf8");

before(install);
after(uninstall);

test("the packed client connects, counts and tells", async () => {
  const { LiveBell } = await import("../../src/livebell/static/livebell/client.js");
  const initial = { epoch: "e", snapshot: snapshot({ unread: 2 }) };
  const bell = new LiveBell({ socketUrl: "/ws/", initial }).start();
  const seen = [];
  bell.addEventListener("livebell:notification", ({ detail }) => seen.push(detail.title));
  FakeSocket.last
    .open()
    .receive(hello(), entries(0, { seq: 1, title: "a" }, { seq: 2, retracts: 1 }, { seq: 3, title: "b" }));
  assert.deepEqual([bell.unread, bell.state, seen], [3, "open", ["b"]]);
  bell.stop();
});

test("the bell imports nothing but the client, and neither makes markup", () => {
  const imports = [...read("bell.js").matchAll(/from\s*"([^"]+)"/g)].map(([, path]) => path);
  assert.deepEqual(imports, ["./client.js"]);
  for (const text of [read("client.js"), read("bell.js")])
    assert.doesNotMatch(text, /innerHTML|insertAdjacent|eval\(|Function\(/);
});

import assert from "node:assert/strict";
import test from "node:test";
import { State } from "../../src/livebell/static/livebell/src/state.js";
import { counted, entries, snapshot } from "./fakes.js";

const start = (over) => new State({ epoch: "e", snapshot: snapshot(over) });

test("every notification above the snapshot adds one", () => {
  const state = start({ unread: 2, at: { "user:1": 5 } });
  state.apply(entries(5, { seq: 6, title: "a" }, { seq: 7, title: "b" }));
  assert.equal(state.count(), 4);
  assert.deepEqual(state.cursor, { "user:1": 7 });
});

test("what is doubled or comes again counts once", () => {
  const state = start();
  state.apply(entries(0, { seq: 1 }, { seq: 2 }));
  state.apply(entries(0, { seq: 1 }, { seq: 2 }, { seq: 3 }));
  assert.equal(state.count(), 3);
});

test("apply tells which notifications are new", () => {
  const state = start();
  state.apply(entries(0, { seq: 1 }));
  const arrived = state.apply(entries(0, { seq: 1 }, { seq: 2, title: "b" }));
  assert.deepEqual(arrived, [{ seq: 2, title: "b", stream: "user:1" }]);
});

test("a hole is refused and changes nothing", () => {
  const state = start({ at: { "user:1": 5 } });
  assert.equal(state.apply(entries(6, { seq: 7 })), null);
  assert.deepEqual([state.count(), state.cursor], [0, { "user:1": 5 }]);
});

test("an entry that the snapshot has counted adds nothing, whichever comes first", () => {
  const state = start();
  state.apply(counted({ unread: 1, at: { "user:1": 1 }, rev: 0 }));
  assert.deepEqual(state.cursor, { "user:1": 0 });
  assert.equal(state.apply(entries(0, { seq: 1, title: "a" })).length, 1);
  assert.equal(state.count(), 1);
});

test("an older snapshot is ignored, by rev and by position", () => {
  const state = start({ unread: 4, rev: 3, at: { "user:1": 9 } });
  state.apply(counted({ unread: 7, rev: 2, at: { "user:1": 9 } }));
  state.apply(counted({ unread: 8, rev: 3, at: { "user:1": 8 } }));
  assert.equal(state.count(), 4);
});

test("at the same position the lower number is the newer one: the rest has been pruned", () => {
  const state = start({ unread: 9, rev: 3, at: { "user:1": 9 } });
  state.apply(counted({ unread: 4, rev: 3, at: { "user:1": 9 } }));
  assert.equal(state.count(), 4);
  state.apply(counted({ unread: 9, rev: 3, at: { "user:1": 9 } }));
  assert.equal(state.count(), 4);
  state.apply(counted({ unread: 5, rev: 3, at: { "user:1": 10 } }));
  assert.equal(state.count(), 5);
});

test("another epoch is refused, except in a reset", () => {
  const state = start({ unread: 1 });
  assert.equal(state.apply({ ...counted({ unread: 5, rev: 9 }), epoch: "other" }), null);
  assert.equal(state.apply({ ...entries(0, { seq: 1 }), epoch: "other" }), null);
  assert.deepEqual(state.apply({ type: "reset", epoch: "other", snapshot: snapshot({ unread: 6 }) }), []);
  assert.deepEqual([state.count(), state.epoch], [6, "other"]);
});

test("a retraction takes back what counted, and for ever", () => {
  const state = start();
  state.apply(entries(0, { seq: 1 }, { seq: 2 }, { seq: 3, retracts: 1 }));
  assert.equal(state.count(), 1);
  assert.equal(state.shows({ stream: "user:1", seq: 1 }), false);
  assert.equal(state.shows({ stream: "user:1", seq: 2 }), true);
});

test("an entry whose content is gone is only a number", () => {
  const state = start();
  assert.deepEqual(state.apply(entries(0, { seq: 1, gone: true }, { seq: 2, title: "b" })).length, 1);
  assert.deepEqual([state.count(), state.cursor["user:1"]], [1, 2]);
});

test("a retraction in the same frame: not announced either", () => {
  assert.deepEqual(start().apply(entries(0, { seq: 1 }, { seq: 2, retracts: 1 })), []);
});

test("a stream that a newer snapshot names starts there, one it no longer names is dropped", () => {
  const state = start();
  state.apply(entries(0, { seq: 1 }));
  state.apply(counted({ rev: 1, unread: 3, at: { all: 7 } }));
  assert.deepEqual([state.cursor, state.count()], [{ all: 7 }, 3]);
  assert.equal(state.shows({ stream: "user:1", seq: 1 }), false);
});

test("read is what lies below through, or has a receipt", () => {
  const state = start({ through: { "user:1": 3 }, read: { "user:1": [5] } });
  const read = [3, 4, 5].map((seq) => state.isRead({ stream: "user:1", seq }));
  assert.deepEqual(read, [true, false, true]);
});

test("a stream may be called like something every object has", () => {
  const state = new State({ epoch: "e", snapshot: snapshot({ at: { "user:1": 0 } }) });
  state.apply({ type: "entries", epoch: "e", stream: "constructor", prev: 0, entries: [{ seq: 1 }] });
  assert.equal(state.count(), 1);
});

test("unknown frames and fields are ignored", () => {
  assert.deepEqual(start().apply({ type: "news", epoch: "x" }), []);
});

test("two tabs that know different things agree after a merge, in either order", () => {
  const [mine, theirs] = [start({ unread: 1, at: { "user:1": 2 } }), start({ unread: 1, at: { "user:1": 2 } })];
  mine.apply(entries(2, { seq: 3 }, { seq: 4 }));
  theirs.apply(entries(2, { seq: 3 }));
  theirs.apply(counted({ unread: 1, rev: 1, at: { "user:1": 3 } }));
  const [a, b] = [mine.export(), theirs.export()].map((state) => structuredClone(state));
  assert.deepEqual(mine.merge(b), []);
  assert.equal(theirs.merge(a).length, 1);
  assert.deepEqual([mine.count(), theirs.count()], [2, 2]);
  assert.deepEqual(mine.cursor, theirs.cursor);
});

test("a merge takes over another epoch", () => {
  const mine = start({ unread: 9 });
  const theirs = new State({ epoch: "new", snapshot: snapshot({ unread: 1 }) });
  theirs.apply({ ...entries(0, { seq: 1 }), epoch: "new" });
  mine.merge(structuredClone(theirs.export()));
  assert.deepEqual([mine.epoch, mine.count(), mine.cursor], ["new", 2, { "user:1": 1 }]);
});

// The client of the model, word for word: it keeps every item, and counts by the rule.
class Model {
  constructor(first) {
    Object.assign(this, { snap: first, at: { ...first.at }, items: new Map() });
  }

  get badge() {
    const counts = ({ stream, seq, dead }) => !dead && seq > (this.snap.at[stream] ?? 0);
    return this.snap.unread + [...this.items.values()].filter(counts).length;
  }

  newer(snap) {
    if (snap.rev !== this.snap.rev) return snap.rev > this.snap.rev;
    return Object.keys(snap.at).every((s) => snap.at[s] >= (this.snap.at[s] ?? 0));
  }

  receive(frame) {
    if (frame.type === "snapshot") {
      if (this.newer(frame.snapshot)) this.snap = frame.snapshot;
      return true;
    }
    const { stream, prev } = frame;
    if (prev > (this.at[stream] ?? 0)) return false;
    for (const { seq, retracts } of frame.entries) if (seq > this.at[stream]) this.enter(stream, seq, retracts);
    return true;
  }

  enter(stream, seq, retracts) {
    this.at[stream] = seq;
    const old = this.items.get(`${stream} ${retracts}`);
    if (old) old.dead = true;
    if (!retracts) this.items.set(`${stream} ${seq}`, { stream, seq, dead: false });
  }
}

// A server that writes, reads and retracts, whose frames are doubled, lost and swapped on the way.
function history(random, steps) {
  const streams = { "user:1": [], all: [] };
  const [frames, read] = [[], new Set()];
  let rev = 0;
  const pick = (list) => list[Math.floor(random() * list.length)];
  const alive = (s) => streams[s].filter((e) => !e.retracts && !streams[s].some((r) => r.retracts === e.seq));
  const unread = () => Object.keys(streams).flatMap((s) => alive(s).filter((e) => !read.has(`${s} ${e.seq}`))).length;
  const at = () => Object.fromEntries(Object.keys(streams).map((s) => [s, streams[s].length]));
  const counted = () => ({
    type: "snapshot",
    epoch: "e",
    snapshot: { ...snapshot(), unread: unread(), at: at(), rev },
  });
  for (let i = 0; i < steps; i++) {
    const stream = pick(["user:1", "all"]);
    const list = streams[stream];
    const old = pick(alive(stream));
    const what = random();
    if (what < 0.2 && old) (read.add(`${stream} ${old.seq}`), rev++, frames.push(counted()));
    else if (what < 0.3 && old) (list.push({ seq: list.length + 1, retracts: old.seq }), frames.push(counted()));
    else list.push({ seq: list.length + 1 });
    const prev = Math.floor(random() * list.length);
    frames.push({
      type: "entries",
      epoch: "e",
      stream,
      prev,
      entries: list.slice(prev, prev + 1 + Math.floor(random() * 3)),
    });
    if (random() < 0.3) frames.splice(-2, 0, frames.pop());
    if (random() < 0.2) frames.push(pick(frames));
  }
  const rest = Object.entries(streams).map(([stream, all]) => ({
    type: "entries",
    epoch: "e",
    stream,
    prev: 0,
    entries: all,
  }));
  return { frames: [...frames, ...rest, counted()], unread: unread() };
}

test("step by step the same badge as the model, over 500 random histories; in the end that of the database", () => {
  let seed = 1;
  const random = () => ((seed = (seed * 16807) % 2147483647) - 1) / 2147483646;
  for (let run = 0; run < 500; run++) {
    const first = snapshot({ at: { "user:1": 0, all: 0 } });
    const [state, model] = [new State({ epoch: "e", snapshot: first }), new Model(first)];
    const { frames, unread } = history(random, 30);
    for (const frame of frames) {
      assert.equal(state.apply(structuredClone(frame)) !== null, model.receive(frame));
      assert.equal(state.count(), model.badge);
    }
    assert.equal(state.count(), unread);
  }
});

import assert from "node:assert/strict";
import test, { mock } from "node:test";
import { pause, stops } from "../../src/livebell/static/livebell/src/backoff.js";

const widest = (...args) => {
  mock.method(Math, "random", () => 1);
  const value = pause(...args);
  mock.restoreAll();
  return value;
};

test("full jitter doubles up to thirty seconds", () => {
  assert.deepEqual(
    [0, 1, 2, 6, 40].map((n) => widest(1006, n)),
    [500, 1000, 2000, 30_000, 30_000],
  );
});

test("it is random from zero on", () => {
  mock.method(Math, "random", () => 0);
  assert.equal(pause(1006, 9), 0);
  mock.restoreAll();
});

test("after a deploy the first try is spread, the next ones are not", () => {
  assert.deepEqual(
    [1001, 1012, 4000].map((code) => widest(code, 0, 9_000)),
    [9_000, 9_000, 9_000],
  );
  assert.equal(widest(4000, 1, 9_000), 1_000);
});

test("a drain has given each its time: no more, no less, and at every attempt", () => {
  assert.deepEqual([widest(4000, 0, 9_000, 700), widest(4000, 3, 9_000, 700)], [700, 700]);
  assert.deepEqual([widest(4004, 0, 9_000, 700), widest(1012, 0, 9_000, 700)], [1_200, 9_700]);
});

test("a planned end comes back at once, but not in a loop", () => {
  assert.deepEqual([widest(4005, 0), widest(4005, 1)], [0, 1_000]);
});

test("the codes that say stop", () => {
  const codes = [1001, 1006, 1009, 1011, 1012, 4000, 4001, 4004, 4005, 4008, 4501, 4502, 4504, 4505, 4506];
  assert.deepEqual(codes.filter(stops), [1009, 4501, 4502, 4504, 4505, 4506]);
});

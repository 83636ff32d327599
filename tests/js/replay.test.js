// Frames that the Python server has sent, with what the model's client made of each: ours does the same, step by step.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { State } from "../../src/livebell/static/livebell/src/state.js";

const FILE = new URL("recorded.jsonl", import.meta.url);
const lines = () =>
  readFileSync(FILE, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));

test("recorded frames of the server give its badge, step by step", () => {
  const steps = lines();
  assert.ok(
    steps.some((step) => step.frame),
    "the recording holds no frame",
  );
  let state = new State();
  steps.forEach(({ frame, badge, applied = true, new: fresh }, i) => {
    const where = `line ${i + 1}: ${JSON.stringify(frame)}`;
    if (fresh) state = new State();
    if (!frame) return;
    assert.equal(state.apply(frame) !== null, applied, where);
    assert.equal(state.snapshot ? state.count() : null, badge, where);
  });
});

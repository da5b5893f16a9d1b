import assert from "node:assert/strict";
import { test } from "node:test";
import { MARK } from "../src/model/api";
import { eventHistory, markNames } from "../src/model/marks";

test("marks in words", () => {
  assert.equal(markNames(MARK.MEASURED), "");
  assert.equal(markNames(MARK.MEASURED | MARK.NAN | MARK.ABSORBED), "NaN, additions absorbed");
});

test("events come in the order in which they began, with their spans", () => {
  const { MEASURED, NAN, INF } = MARK;
  const history = eventHistory([0, 10, 20, 30, 40], [MEASURED, INF, INF | NAN, MEASURED, NAN]);
  assert.deepEqual(history, [
    { name: "∞", first: 10, last: 20, records: 2, spans: ["steps 10–20"] },
    { name: "NaN", first: 20, last: 40, records: 2, spans: ["step 20", "step 40"] },
  ]);
});

test("a flickering event is summed up", () => {
  const steps = Array.from({ length: 40 }, (_, i) => i);
  const [history] = eventHistory(
    steps,
    steps.map((step) => (step % 2 ? MARK.NAN : MARK.MEASURED)),
  );
  assert.equal(history?.records, 20);
  assert.equal(history?.spans.length, 7);
  assert.equal(history?.spans.at(-1), "14 more");
});

test("nothing happened", () => assert.deepEqual(eventHistory([1, 2], [MARK.MEASURED, MARK.MEASURED]), []));

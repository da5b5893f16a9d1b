import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunInfo, Status, Verdict } from "../src/model/api";
import { matching, ranked, tally } from "../src/model/runs";

const NAMES = ["run10", "run9", "wide", "deep"];
const runs: RunInfo[] = NAMES.map((name) => ({ name, sessions: [], problems: [] }));

function verdicts(statuses: Partial<Record<string, Status>>): Map<string, Verdict> {
  return new Map(
    Object.entries(statuses).map(([name, status]) => [
      name,
      { status: status ?? "healthy", text: `${name} is ${status}, train.py:27.`, step: 3 },
    ]),
  );
}

test("the worst come first, then by name with numbers as numbers", () => {
  const known = verdicts({ run10: "broken", run9: "broken", wide: "at risk", deep: "healthy" });
  assert.deepEqual(
    ranked(runs, known).map((run) => run.name),
    ["run9", "run10", "wide", "deep"],
  );
});

test("what has not been judged stands before what is healthy", () => {
  const order = ranked(runs, verdicts({ deep: "healthy", wide: "at risk" })).map((run) => run.name);
  assert.deepEqual(order, ["wide", "run9", "run10", "deep"]);
});

test("a query is looked for in names and verdicts, word by word", () => {
  const known = verdicts({ run9: "broken", deep: "broken" });
  const found = (query: string) => matching(runs, known, query).map((run) => run.name);
  assert.deepEqual(found("RUN"), ["run10", "run9"]);
  assert.deepEqual(found("run broken"), ["run9"]);
  assert.deepEqual(found("train.py:27"), ["run9", "deep"]);
  assert.deepEqual(found(" "), NAMES);
});

test("statuses are counted, the worst first", () => {
  const known = verdicts({ run9: "healthy", deep: "broken", wide: "healthy" });
  assert.deepEqual(tally(runs, known), [
    ["broken", 1],
    [null, 1],
    ["healthy", 2],
  ]);
});

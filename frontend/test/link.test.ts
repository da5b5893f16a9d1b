import assert from "node:assert/strict";
import { test } from "node:test";
import { formatHash, parseHash, START, type State, VIEWS } from "../src/model/link";

const FULL: State = {
  view: "map",
  run: "lr=0.1/train & more",
  session: "20250102T030405-0badcafe",
  step: 57,
  op: "while/body/Log:0#2",
  against: "baseline ÿ",
  filters: { metric: "under", rows: "10-20" },
};

test("every state survives the way through the address", () => {
  assert.deepEqual(parseHash(formatHash(FULL)), FULL);
  assert.deepEqual(parseHash(formatHash(START)), START);
  for (const view of VIEWS) {
    for (const op of [null, "Log:0"]) {
      const state = { ...START, view, op };
      assert.deepEqual(parseHash(formatHash(state)), state);
    }
  }
});

test("a link says no more than it must", () => {
  assert.equal(formatHash(START), "#numstab");
  assert.equal(
    formatHash({ ...START, view: "op", run: "a", step: 0, op: "Log:0" }),
    "#numstab&p.numstab.run=a&p.numstab.step=0&p.numstab.op=Log%3A0",
  );
});

test("what TensorBoard cannot split stays encoded", () => {
  const hash = formatHash({ ...START, run: "a=b&c" });
  assert.equal(hash.split("&").length, 2);
  assert.equal(hash.split("=").length, 2);
});

test("an op in the link opens its page, unless another page is asked for", () => {
  assert.equal(parseHash("#numstab&p.numstab.op=Log%3A0")?.view, "op");
  assert.equal(parseHash("#numstab&p.numstab.op=Log%3A0&p.numstab.view=map")?.view, "map");
  assert.equal(parseHash("#numstab&p.numstab.view=nonsense")?.view, "overview");
});

test("another tab's address is not ours", () => {
  assert.equal(parseHash("#scalars&p.numstab.run=a"), null);
  assert.deepEqual(parseHash(""), START);
});

test("damaged values are dropped or taken as they are, never thrown", () => {
  assert.equal(parseHash("#numstab&p.numstab.step=1e9")?.step, null);
  assert.equal(parseHash("#numstab&p.numstab.step=")?.step, null);
  assert.equal(parseHash("#numstab&p.numstab.run=100%")?.run, "100%");
  assert.equal(parseHash("#numstab&p.numstab.run=a=b")?.run, null);
  assert.equal(parseHash("#numstab&p.other.run=a")?.run, null);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { FloatFormat, LayerKind } from "../src/model/api";
import { curve, pointAt, updateGap } from "../src/model/layers";

const FORMATS = { bfloat16: { name: "bfloat16", precision: 8 } as FloatFormat };

function kind(...max_exp: (number | null)[]): LayerKind {
  return { tensors: 1, dtypes: ["bfloat16"], max_exp, nonfinite: [], lowest: null, highest: null };
}

test("updates beside the weights they change", () => {
  const kinds = { weights: kind(-3, -3, -3), updates: kind(-13, null, 2) };
  assert.equal(
    updateGap(kinds, 0, FORMATS),
    "The largest update is 10 bits below the largest weight; bfloat16 keeps 8.",
  );
  assert.equal(updateGap(kinds, 1, FORMATS), "");
  assert.match(updateGap(kinds, 2, FORMATS), /5 bits above/);
  assert.equal(updateGap({ weights: kind(-3) }, 0, FORMATS), "");
});

test("a point stands for the steps up to its own", () => {
  assert.equal(pointAt([9, 19, 29], null), 2);
  assert.equal(pointAt([9, 19, 29], 9), 0);
  assert.equal(pointAt([9, 19, 29], 10), 1);
  assert.equal(pointAt([9, 19, 29], 500), 2);
  assert.equal(pointAt([], 5), 0);
});

test("a curve breaks where a value is missing", () => {
  assert.equal(
    curve([1, 2, null, 3], (v) => v * 10, 40),
    "M5.0 10.0h1L15.0 20.0M35.0 30.0h1",
  );
  assert.equal(
    curve([null], (v) => v, 10),
    "",
  );
});

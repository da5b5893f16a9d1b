import assert from "node:assert/strict";
import { test } from "node:test";
import type { FloatFormat, LayerKind } from "../src/model/api";
import { curve, fits } from "../src/model/layers";

const FLOAT16 = { name: "float16", max_exp: 15, min_exp: -14, min_subnormal_exp: -24 } as FloatFormat;

function kind(lowest: number | null, highest: number | null, dtype = "float32"): LayerKind {
  return { tensors: 1, dtypes: [dtype], max_exp: [highest], nonfinite: [false], lowest, highest };
}

test("what another format would make of measured magnitudes", () => {
  assert.equal(fits(kind(-10, 4), FLOAT16), "fits");
  assert.equal(fits(kind(-14, 15), FLOAT16), "fits");
  assert.equal(fits(kind(-10, 16), FLOAT16), "overflows by 1 bit");
  assert.equal(fits(kind(-25, 4), FLOAT16), "smallest become 0");
  assert.equal(fits(kind(-15, 4), FLOAT16), "smallest lose precision");
  assert.equal(fits(kind(-40, -20), FLOAT16), "vanishes");
  assert.equal(fits(kind(-40, -20, "float16"), FLOAT16), "is its format");
  assert.equal(fits(kind(null, null), FLOAT16), "–");
  assert.equal(fits(kind(0, 0), undefined), "–");
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

import assert from "node:assert/strict";
import { test } from "node:test";
import type { FloatFormat, Measure } from "../src/model/api";
import { fitOf, overRun } from "../src/model/what_if";

const FLOAT16 = {
  name: "float16",
  max_exp: 15,
  min_exp: -14,
  min_subnormal_exp: -24,
  has_inf: true,
} as FloatFormat;
const E4M3 = {
  name: "float8_e4m3fn",
  max_exp: 8,
  min_exp: -6,
  min_subnormal_exp: -9,
  has_inf: false,
} as FloatFormat;

function measure(
  min_exp: number | null,
  max_exp: number | null,
  histogram: Measure["histogram"] = null,
): Measure {
  return { min_exp, max_exp, histogram } as Measure;
}

test("what the range alone decides", () => {
  assert.equal(fitOf(measure(-14, 12), FLOAT16)?.text, "fits, 3 bits to spare");
  assert.equal(fitOf(measure(-14, 15), FLOAT16)?.text, "just fits");
  assert.equal(fitOf(measure(-14, 16), FLOAT16)?.text, "overflows by 1 bit: the largest become ∞");
  assert.match(fitOf(measure(0, 20), E4M3)?.text ?? "", /become NaN$/);
  assert.equal(fitOf(measure(-60, -30), FLOAT16)?.verdict, "vanishes");
  assert.equal(fitOf(measure(-15, 0), FLOAT16)?.verdict, "loses");
  assert.equal(fitOf(measure(null, null), FLOAT16), null);
});

test("how much is lost comes from the histogram, and only from bins wholly below", () => {
  const histogram = { first_exp: -22, bin_width: 4, shares: [64, 64, 64, 64] };
  assert.match(fitOf(measure(-22, -7, histogram), FLOAT16)?.text ?? "", /^about 50 % of the elements/);
  const rare = { first_exp: -22, bin_width: 4, shares: [1, 0, 255, 255] };
  assert.match(fitOf(measure(-22, -7, rare), FLOAT16)?.text ?? "", /^under 1 %/);
});

test("what a format does over the run", () => {
  const nothing = { format: "float16", overflow: 0, underflow: 0, subnormal: 0, overflows: false };
  assert.equal(overRun(nothing), "");
  assert.equal(
    overRun({ ...nothing, underflow: 0.25, subnormal: 0.0001 }),
    "25 % become 0, < 0.1 % lose precision",
  );
});

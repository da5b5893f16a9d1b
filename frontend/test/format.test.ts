import assert from "node:assert/strict";
import { test } from "node:test";
import {
  codeLines,
  count,
  decimal,
  listed,
  place,
  power,
  prose,
  shape,
  share,
  stepRange,
  value,
} from "../src/model/format";

test("powers of two", () => {
  assert.equal(power(0), "2⁰");
  assert.equal(power(-126), "2⁻¹²⁶");
  assert.equal(power(1023), "2¹⁰²³");
});

test("decimal magnitudes, also where a double has none", () => {
  assert.equal(decimal(0), "1");
  assert.equal(decimal(10), "1000");
  assert.equal(decimal(-4), "0.063");
  assert.equal(decimal(127), "2e38");
  assert.equal(decimal(-149), "1e-45");
  assert.equal(decimal(-1100), "7e-332");
  assert.equal(decimal(-1074), "5e-324");
});

test("a mantissa that rounds up to ten becomes one", () => {
  // 2 ** 93 is 9.9e27.
  assert.equal(decimal(93), "1e28");
});

test("measured values", () => {
  assert.equal(value(null), "–");
  assert.equal(value("NaN"), "NaN");
  assert.equal(value("-Infinity"), "−∞");
  assert.equal(value(0), "0");
  assert.equal(value(-1.23456), "−1.235");
  assert.equal(value(3.4e38), "3.40e38");
  assert.equal(value(1e-7), "1.00e-7");
});

test("counts and shares", () => {
  assert.equal(count(1204933), "1,204,933");
  assert.equal(count(999), "999");
  assert.equal(share(0, 10), "0 %");
  assert.equal(share(10, 10), "100 %");
  assert.equal(share(4090, 4096), "99.9 %");
  assert.equal(share(1, 100000), "< 0.1 %");
  assert.equal(share(99999, 100000), "> 99.9 %");
  assert.equal(share(1, 3), "33 %");
  assert.equal(share(0, 0), "0 %");
});

test("shapes and steps", () => {
  assert.equal(shape(null), "unknown shape");
  assert.equal(shape([]), "[]");
  assert.equal(shape([-1, 64]), "[?, 64]");
  assert.equal(stepRange(3, 3), "step 3");
  assert.equal(stepRange(3, 9), "steps 3–9");
});

test("signs in sentences", () => {
  assert.equal(prose("up to 2^2 by 2^-13: E[x^2] - (a + b)^2"), "up to 2² by 2⁻¹³: E[x²] - (a + b)²");
  assert.equal(
    prose("down to -92.61, not 4e-06, 11-59 or run-2.py"),
    "down to −92.61, not 4e-06, 11-59 or run-2.py",
  );
  assert.equal(
    prose("log(0) = -Inf; 2 +Inf, tf.Inf, Info, 0 * Inf"),
    "log(0) = −∞; 2 +∞, tf.Inf, Info, 0 * ∞",
  );
});

test("names in a row, and a line of source", () => {
  assert.equal(listed([]), "");
  assert.equal(listed(["float16"]), "float16");
  assert.equal(listed(["float16", "float32", "float64"]), "float16, float32 and float64");
  assert.equal(place({ file: "C:\\runs\\train.py", line: 7, function: "f", text: "" }), "train.py:7");
});

test("each statement of a fix has its line", () => {
  assert.deepEqual(codeLines("a = f(x); b = g(x)\nc"), ["a = f(x)", "b = g(x)", "c"]);
});

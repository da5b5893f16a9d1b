import assert from "node:assert/strict";
import { test } from "node:test";
import type { FloatFormat, Measure } from "../src/model/api";
import {
  bars,
  dataDomain,
  everyTick,
  hatch,
  position,
  scaleGap,
  tickLabelWidth,
  ticks,
  wholeDomain,
} from "../src/model/ruler";

const FLOAT16: FloatFormat = {
  name: "float16",
  precision: 11,
  max_exp: 15,
  min_exp: -14,
  min_subnormal_exp: -24,
  max_value: 65504,
  has_inf: true,
};
const FLOAT32: FloatFormat = {
  ...FLOAT16,
  name: "float32",
  max_exp: 127,
  min_exp: -126,
  min_subnormal_exp: -149,
};

function measure(min_exp: number | null, max_exp: number | null): Measure {
  return { min_exp, max_exp, size: 8, nan: 0, pos_inf: 0, neg_inf: 0, zero: 0 } as Measure;
}

test("the axis holds every format that takes part, and a little beyond", () => {
  const domain = wholeDomain([
    { measure: null, format: FLOAT16 },
    { measure: null, format: FLOAT32 },
  ]);
  assert.ok(domain.lo < -149 && domain.lo > -175);
  assert.ok(domain.hi > 127 && domain.hi < 150);
});

test("an axis without any float format still is one", () => {
  const domain = wholeDomain([{ measure: null, format: undefined }]);
  assert.ok(domain.lo < domain.hi);
});

test("zoomed, the axis holds the data; without data, the format", () => {
  const rows = [
    { measure: measure(-3, 2), format: FLOAT32 },
    { measure: measure(null, null), format: FLOAT32 },
  ];
  assert.deepEqual(dataDomain(rows), { lo: -7, hi: 6 });
  const none = [{ measure: measure(null, null), format: FLOAT16 }];
  assert.deepEqual(dataDomain(none), wholeDomain(none));
});

test("positions grow with the exponent and stay on the axis", () => {
  const domain = { lo: 0, hi: 9 };
  assert.equal(position(0, domain, 100), 0);
  assert.equal(position(5, domain, 100), 50);
  assert.equal(position(10, domain, 100), 100);
  assert.equal(position(-99, domain, 100), 0);
  assert.equal(position(99, domain, 100), 100);
});

test("tick labels neither touch each other nor leave the axis", () => {
  for (const width of [200, 640, 1200, 3600]) {
    const domain = wholeDomain([{ measure: null, format: FLOAT32 }]);
    const binade = width / (domain.hi + 1 - domain.lo);
    const middles = ticks(domain, width).map((e) => position(e, domain, width) + binade / 2);
    assert.ok(middles.length >= 2, `${width} px`);
    middles.slice(1).forEach((x, i) => {
      assert.ok(x - (middles[i] ?? 0) >= tickLabelWidth(width));
    });
    assert.ok((middles[0] ?? 0) >= 20 && (middles.at(-1) ?? 0) <= width - 20);
  }
});

test("a bar never reaches beyond the data, though its bin may", () => {
  const domain = { lo: -8, hi: 7 };
  const histogram = { first_exp: -4, bin_width: 4, shares: [64, 0, 255] };
  const [low, high, ...none] = bars(measure(-2, 4), histogram, domain, 160);
  assert.deepEqual(none, []);
  assert.deepEqual(low, { x: 60, width: 20, height: Math.sqrt(64 / 255) });
  assert.deepEqual(high, { x: 120, width: 10, height: 1 });
});

test("the gap is between the largest magnitudes", () => {
  assert.equal(scaleGap(measure(-9, 99), measure(-120, -100)), 199);
  assert.equal(scaleGap(measure(0, 0), null), null);
  assert.equal(scaleGap(measure(0, 0), measure(null, null)), null);
});

test("a hatch stays inside its rectangle", () => {
  const numbers =
    hatch(10, 20, 30, 40)
      .match(/-?\d+(\.\d+)?/g)
      ?.map(Number) ?? [];
  assert.ok(numbers.length > 8);
  numbers.forEach((n, i) => {
    if (i % 2 === 0) assert.ok(n >= 10 && n <= 40);
    else assert.ok(n >= 20 && n <= 60);
  });
  assert.equal(hatch(0, 0, 0, 0), "");
});

test("an axis is labelled at multiples of a power of two, as many as fit", () => {
  assert.deepEqual(everyTick({ lo: -9, hi: 6 }, 5), [-8, -4, 0, 4]);
  assert.deepEqual(everyTick({ lo: -2, hi: 1 }, 5), [-2, -1, 0, 1]);
  assert.deepEqual(everyTick({ lo: -149, hi: 127 }, 5), [-128, -64, 0, 64]);
});

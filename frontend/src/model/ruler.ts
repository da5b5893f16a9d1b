/** Geometry of the exponent ruler: tensors of any formats on one log2 axis. */

import type { FloatFormat, Histogram, Measure } from "./api";

/** The exponents an axis spans, from the lower edge of `lo` to the upper edge of `hi`. */
export interface Domain {
  lo: number;
  hi: number;
}

export interface RulerRow {
  measure: Measure | null;
  format: FloatFormat | undefined;
}

/** Binades left free beside the outermost limit, so that the beyond is visible. */
const MARGIN_SHARE = 0.04;

/** The whole of every format that takes part. */
export function wholeDomain(rows: readonly RulerRow[]): Domain {
  const formats = rows.flatMap((row) => (row.format ? [row.format] : []));
  const lo = Math.min(...formats.map((f) => f.min_subnormal_exp));
  const hi = Math.max(...formats.map((f) => f.max_exp));
  return formats.length ? padded(lo, hi) : { lo: -10, hi: 10 };
}

/** What the data occupy, with room around. */
export function dataDomain(rows: readonly RulerRow[]): Domain {
  const exps = rows.flatMap(({ measure }) =>
    measure && measure.min_exp !== null && measure.max_exp !== null ? [measure.min_exp, measure.max_exp] : [],
  );
  if (exps.length === 0) return wholeDomain(rows);
  const lo = Math.min(...exps);
  const hi = Math.max(...exps);
  const extra = Math.max(4, Math.round((hi - lo) * 0.15));
  return { lo: lo - extra, hi: hi + extra };
}

function padded(lo: number, hi: number): Domain {
  const margin = Math.ceil((hi - lo) * MARGIN_SHARE);
  return { lo: lo - margin, hi: hi + margin };
}

/** Position of the lower edge of an exponent's binade on an axis of the given width, in pixels. */
export function position(exponent: number, domain: Domain, width: number): number {
  const share = (exponent - domain.lo) / (domain.hi + 1 - domain.lo);
  return Math.min(Math.max(share, 0), 1) * width;
}

const TICK_STEPS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/** Room for one label in pixels; a narrow axis cannot afford air between them. */
export function tickLabelWidth(width: number): number {
  return width < 300 ? 40 : 56;
}

/** Exponents to label: multiples of a power of two, so far apart and from the ends that labels do not touch. */
export function ticks(domain: Domain, width: number): number[] {
  const labelWidth = tickLabelWidth(width);
  const binade = width / (domain.hi + 1 - domain.lo);
  const step = TICK_STEPS.find((s) => s * binade >= labelWidth) ?? 512;
  const out: number[] = [];
  for (let e = Math.ceil(domain.lo / step) * step; e <= domain.hi; e += step) {
    const middle = position(e, domain, width) + binade / 2;
    if (middle >= labelWidth / 2 && middle <= width - labelWidth / 2) out.push(e);
  }
  return out;
}

/** Exponents to label on an axis with room for so many: multiples of a power of two. */
export function everyTick(domain: Domain, most: number): number[] {
  const span = domain.hi - domain.lo;
  const step = TICK_STEPS.find((s) => span / s <= most) ?? 512;
  const first = Math.ceil(domain.lo / step) * step;
  return Array.from({ length: Math.floor((domain.hi - first) / step) + 1 }, (_, i) => first + i * step);
}

export interface Bar {
  x: number;
  width: number;
  /** 0 to 1; the square root of the share, so that rare magnitudes stay visible. */
  height: number;
}

/** Columns of a histogram, clipped to the data's true extremes: a bin may be wider than the data. */
export function bars(measure: Measure, histogram: Histogram, domain: Domain, width: number): Bar[] {
  const most = Math.max(...histogram.shares, 1);
  return histogram.shares.flatMap((share, i) => {
    const first = histogram.first_exp + i * histogram.bin_width;
    const lo = Math.max(first, measure.min_exp ?? first);
    const hi = Math.min(first + histogram.bin_width - 1, measure.max_exp ?? first + histogram.bin_width);
    if (share === 0 || hi < lo) return [];
    const x = position(lo, domain, width);
    return [{ x, width: position(hi + 1, domain, width) - x, height: Math.sqrt(share / most) }];
  });
}

/** Binades between the largest magnitudes of two tensors; null where one has none. */
export function scaleGap(a: Measure | null, b: Measure | null): number | null {
  if (a?.max_exp == null || b?.max_exp == null) return null;
  return Math.abs(a.max_exp - b.max_exp);
}

/** Path of 45 degree lines that fill a rectangle: a hatch without pattern ids, which a <base href> breaks. */
export function hatch(x: number, y: number, width: number, height: number, spacing = 5): string {
  let path = "";
  for (let offset = spacing; offset < width + height; offset += spacing) {
    const x1 = Math.max(0, offset - height);
    const x2 = Math.min(width, offset);
    path += `M${x + x1} ${y + offset - x1}L${x + x2} ${y + offset - x2}`;
  }
  return path;
}

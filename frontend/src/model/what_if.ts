/** A tensor in a format it is not in: arithmetic on its measured range, no guess. */

import type { FloatFormat, FormatShares, Measure } from "./api";
import { plural, share } from "./format";

export interface Fit {
  format: FloatFormat;
  verdict: "fits" | "overflows" | "loses" | "vanishes";
  text: string;
}

/** How the magnitudes a tensor holds would fare in a format; null where it holds none. */
export function fitOf(measure: Measure, format: FloatFormat): Fit | null {
  const { max_exp: high, min_exp: low } = measure;
  if (high === null || low === null) return null;
  if (high > format.max_exp) {
    const beyond = format.has_inf ? "∞" : "NaN";
    const text = `overflows by ${plural(high - format.max_exp, "bit")}: the largest become ${beyond}`;
    return { format, verdict: "overflows", text };
  }
  if (high < format.min_subnormal_exp) return { format, verdict: "vanishes", text: "everything becomes 0" };
  if (low < format.min_exp) {
    const lost = shareBelow(measure, format.min_exp);
    const most = lost === null ? "the smallest" : `${lost} of the elements`;
    return { format, verdict: "loses", text: `${most} lose precision (subnormal)` };
  }
  const spare = format.max_exp - high;
  return {
    format,
    verdict: "fits",
    text: spare > 0 ? `fits, ${plural(spare, "bit")} to spare` : "just fits",
  };
}

/** What a format would do to all results of the session; "" where it changes none. */
export function overRun(shares: FormatShares): string {
  const parts: [part: number, fate: string][] = [
    [shares.overflow, "overflow"],
    [shares.underflow, "become 0"],
    [shares.subnormal, "lose precision"],
  ];
  return parts
    .filter(([part]) => part > 0)
    .map(([part, fate]) => `${share(part, 1)} ${fate}`)
    .join(", ");
}

/** Share of the sampled elements in histogram bins wholly below an exponent; null without a histogram. */
function shareBelow(measure: Measure, exponent: number): string | null {
  if (measure.histogram === null) return null;
  const { first_exp, bin_width, shares } = measure.histogram;
  const whole = shares.reduce((sum, s) => sum + s, 0);
  const below = shares.reduce(
    (sum, s, i) => (first_exp + (i + 1) * bin_width <= exponent ? sum + s : sum),
    0,
  );
  const percent = Math.round((100 * below) / Math.max(1, whole));
  return percent === 0 ? "under 1 %" : `about ${percent} %`;
}

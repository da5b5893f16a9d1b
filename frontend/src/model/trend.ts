/** Headroom: how many bits lie between a tensor's extremes and the limits of its format. */

import type { FloatFormat, Trend } from "./api";

type Series = (number | null)[];

/** Steps, bits below overflow, and bits above underflow, as uPlot takes them. */
export function headroomSeries(trend: Trend, format: FloatFormat): [number[], Series, Series] {
  return [
    trend.steps,
    trend.max_exp.map((e) => (e === null ? null : format.max_exp - e)),
    trend.min_exp.map((e) => (e === null ? null : e - format.min_exp)),
  ];
}

/** Layers: curves of exponents, and updates beside the weights they change. */

import type { KindName, Layers } from "./api";
import { plural } from "./format";
import type { Domain } from "./ruler";

export const KINDS: readonly KindName[] = ["activations", "gradients", "weights", "updates"];

/** One scale for all charts of a page. */
export function exponentDomain(layers: Layers): Domain {
  const all = layers.layers.flatMap((layer) =>
    Object.values(layer.kinds).flatMap((kind) => kind.max_exp.filter((e) => e !== null)),
  );
  if (all.length === 0) return { lo: -10, hi: 10 };
  const [lo, hi] = [Math.min(...all), Math.max(...all)];
  return { lo: lo - 2, hi: hi + 2 };
}

/** An SVG path through the points that are there; gaps stay gaps, a lone point becomes a dash. */
export function curve(
  values: readonly (number | null)[],
  y: (value: number) => number,
  width: number,
): string {
  const step = width / values.length;
  let path = "";
  let open = false;
  values.forEach((value, i) => {
    if (value === null) {
      open = false;
      return;
    }
    const x = (i + 0.5) * step;
    path += open ? `L${x.toFixed(1)} ${y(value).toFixed(1)}` : `M${x.toFixed(1)} ${y(value).toFixed(1)}h1`;
    open = true;
  });
  return path;
}

/** Index of the point that covers a step, as a point stands for all steps up to its own; the last one without. */
export function pointAt(steps: readonly number[], asked: number | null): number {
  const at = asked === null ? -1 : steps.findIndex((step) => step >= asked);
  return at < 0 ? Math.max(0, steps.length - 1) : at;
}

/** How far a layer's largest update lies below its largest weight at a point; "" where either is unknown. */
export function updateGap(
  kinds: Layers["layers"][number]["kinds"],
  at: number,
  formats: Layers["formats"],
): string {
  const [weight, update] = [kinds.weights?.max_exp[at], kinds.updates?.max_exp[at]];
  const format = formats[kinds.weights?.dtypes[0] ?? ""];
  if (weight == null || update == null || format === undefined) return "";
  const side = update < weight ? "below" : "above";
  return `The largest update is ${plural(Math.abs(weight - update), "bit")} ${side} the largest weight; ${format.name} keeps ${format.precision}.`;
}

/** Layers: curves of exponents and what another format would make of them. */

import type { FloatFormat, KindName, LayerKind, Layers } from "./api";
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

/** Whether magnitudes as measured fit a format; what lies below its normal range loses precision or vanishes. */
export function fits(kind: LayerKind, format: FloatFormat | undefined): string {
  if (format === undefined || kind.highest === null || kind.lowest === null) return "–";
  if (kind.dtypes.length === 1 && kind.dtypes[0] === format.name) return "is its format";
  if (kind.highest > format.max_exp) return `overflows by ${plural(kind.highest - format.max_exp, "bit")}`;
  if (kind.highest < format.min_exp) return "vanishes";
  if (kind.lowest < format.min_subnormal_exp) return "smallest become 0";
  if (kind.lowest < format.min_exp) return "smallest lose precision";
  return "fits";
}

/** The answer of /precision: which smaller format would do, by what was measured over the session. */

import type { FloatFormat, OpRef } from "./api";

/** A part of a training, and what a format would do to its numbers; shares are of the non-zero elements. */
export interface PrecisionPart {
  part: "activations" | "gradients" | "weights" | "optimizer";
  tensors: number;
  /** Tensors of which some element overflows. */
  overflowing: number;
  overflow: number;
  /** Becomes 0. */
  underflow: number;
  subnormal: number;
  /** Updates that would round away; null but for weights. */
  lost: number | null;
}

/** The scale 2^exponent for the loss, any of 2^low to 2^high; gradients that become 0 without it and with it. */
export interface LossScale {
  exponent: number;
  low: number;
  high: number;
  underflow: number;
  remaining: number;
}

export interface FormatAdvice {
  format: string;
  verdict: "fits" | "with care" | "does not fit" | "in use";
  text: string;
  parts: PrecisionPart[];
  loss_scale: LossScale | null;
  keep: { total: number; ops: { op: OpRef; reason: string; text: string }[] };
}

export interface Precision {
  run: string;
  session: string;
  records: number;
  summary: string[];
  code: string;
  computes_in: { format: string; tensors: number }[];
  formats: Record<string, FloatFormat>;
  advice: FormatAdvice[];
}

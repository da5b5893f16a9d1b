/** The answer of /interactions: operands of very different scale at one step, and what their gap does. */

import type { Certainty, FloatFormat, Num, OpRef, Tensor } from "./api";

/** The arithmetic in which operands meet. */
export type InteractionKind = "sum" | "product" | "quotient" | "dot" | "update";

/** What a gap between operands did, or can do, to the result. */
export type Effect = "absorbed" | "cancelled" | "vanishes" | "overflows" | "none";

export interface Interaction {
  op: OpRef;
  operands: [Tensor, Tensor];
  gap: Num;
  kind: InteractionKind;
  effect: Effect;
  certainty: Certainty;
  affected: Num;
  reaches: boolean;
  /** Why the smaller operand is meant to be lost; "" where it is not. */
  expected: string;
  text: string;
}

export interface Interactions {
  run: string;
  session: string;
  step: number;
  asked_step: number;
  steps: number[];
  counts: { kind: InteractionKind; effect: Effect; certainty: Certainty; count: number }[];
  total: number;
  first: number;
  formats: Record<string, FloatFormat>;
  interactions: Interaction[];
}

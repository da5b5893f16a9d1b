/** The answers of the HTTP API (docs/http_api.md), the same in a static report. */

import type { Effect } from "./interactions";

/** A float; JSON has no names for the three that are not finite. */
export type Num = number | "NaN" | "Infinity" | "-Infinity";

export type Severity = "error" | "warning" | "info";
export type Certainty = "proven" | "event" | "possible";
export type Status = "healthy" | "at risk" | "broken";

export interface Frame {
  file: string;
  line: number;
  function: string;
  text: string;
}

/** An op as another page mentions it. */
export interface OpRef {
  key: string;
  op_type: string;
  name: string;
  dtype: string;
  role: string;
  layer: string;
  group: string;
  variable: string;
  source: Frame | null;
}

export interface SessionInfo {
  id: string;
  worker: string;
  records: number;
  first_step: number | null;
  last_step: number | null;
}

export interface RunInfo {
  name: string;
  sessions: SessionInfo[];
  problems: string[];
}

export interface Runs {
  api: number;
  runs: RunInfo[];
}

export interface Verdict {
  status: Status;
  text: string;
  step: number;
}

export interface RunVerdict {
  run: string;
  verdict: Verdict;
  /** Records that the verdict is about, and records that there are. */
  judged: number;
  records: number;
}

/** Records of a session that have been read and judged, of those there are. */
export interface Progress {
  run: string;
  session: string;
  done: number;
  total: number;
}

export interface Hop {
  op: OpRef;
  step: number;
  text: string;
}

export interface Finding {
  rule: string;
  title: string;
  severity: Severity;
  certainty: Certainty;
  op: OpRef;
  first_step: number;
  last_step: number;
  count: number;
  /** The step whose numbers the summary tells: where it broke, or, of what goes on, the latest. */
  step: number;
  summary: string;
  why: Hop[];
  fix: { text: string; before: string; after: string };
  forecast: string;
  numbers: Record<string, Num>;
}

export interface Overview {
  run: string;
  session: SessionInfo;
  /** Records that the verdict and the findings are about; fewer than the session has while the server is at it. */
  judged: number;
  sessions: SessionInfo[];
  problems: string[];
  notes: string[];
  verdict: Verdict | null;
  findings: Finding[];
  slots: number;
  groups: number;
  formats: string[];
}

/** Counts of elements, exponents of extremes; null where absent. */
export interface Measure {
  size: number;
  nan: number;
  pos_inf: number;
  neg_inf: number;
  zero: number;
  subnormal: number;
  negative: number;
  max_exp: number | null;
  min_exp: number | null;
  min: Num | null;
  max: Num | null;
  rms: Num | null;
  overflow: number | null;
  underflow: number | null;
  absorbed: number | null;
  operands: number | null;
  cancelled: number | null;
  calls: number | null;
  first_bad_call: number | null;
  histogram: Histogram | null;
}

/** Shares of the sampled elements, in 1/255, from exponent first_exp on, bin_width binades to a bin. */
export interface Histogram {
  first_exp: number;
  bin_width: number;
  shares: number[];
}

export interface Tensor {
  op: OpRef;
  measure: Measure | null;
}

/** An operand; without an op where it is not a watched floating-point tensor. */
export interface Operand {
  op: OpRef | null;
  measure: Measure | null;
  /** It comes from outside of the loop that the op runs in: what the loop carries round is known by its first value. */
  outside: boolean;
}

export interface FloatFormat {
  name: string;
  precision: number;
  max_exp: number;
  min_exp: number;
  min_subnormal_exp: number;
  max_value: Num;
  has_inf: boolean;
}

export interface Trend {
  steps: number[];
  max_exp: (number | null)[];
  min_exp: (number | null)[];
  marks: number[];
}

/** When a tensor overflows if it goes on as lately; counted in steps from `step`, where `bits` were left. */
export interface Outlook {
  step: number;
  bits: number;
  steps: number;
  low: number;
  high: number;
  text: string;
}

/** shares is base64 of uint8 [steps, bins]. */
export interface HistogramOverSteps {
  steps: number[];
  first_exp: number;
  bin_width: number;
  bins: number;
  shares: string;
}

export interface OpPage {
  run: string;
  session: string;
  step: number;
  asked_step: number;
  kind: string;
  op: OpRef & {
    output: number;
    graph: string;
    looped: boolean;
    shape: number[] | null;
    trainable: boolean;
    returned: boolean;
    frames: Frame[];
    gradient_of: OpRef | null;
  };
  result: Tensor;
  inputs: Operand[];
  inputs_total: number;
  consumers: Tensor[];
  consumers_total: number;
  formats: Record<string, FloatFormat>;
  trend: Trend;
  outlook: Outlook | null;
  interaction: { effect: Effect; certainty: Certainty; text: string } | null;
  histogram: HistogramOverSteps | null;
  precision: FormatShares[] | null;
  findings: Finding[];
}

/** Shares of an op's non-zero results over the session that a format would change; whether any overflows. */
export interface FormatShares {
  format: string;
  overflow: number;
  underflow: number;
  subnormal: number;
  overflows: boolean;
}

/** Bits of a trend's and a map's marks: what happened to an op in a step. */
export const MARK = {
  MEASURED: 1,
  NAN: 2,
  INF: 4,
  OVERFLOW: 8,
  UNDERFLOW: 16,
  SUBNORMAL: 32,
  ABSORBED: 64,
} as const;

export interface MapRow {
  /** Positions first to last - 1 of the map's order of tensors. */
  first: number;
  last: number;
  group: string;
  groups: number;
  last_group: string;
  /** Null where the row stands for several tensors. */
  op: OpRef | null;
  /** Of the worst finding about one of its tensors. */
  severity: Severity | null;
}

/** over, under and marks are base64 of uint8 [rows, columns]; a headroom is bits + 1, 0 where unknown. */
export interface HealthMap {
  run: string;
  session: string;
  total_rows: number;
  rows_shown: [number, number];
  rows: MapRow[];
  columns: [first_step: number, last_step: number][];
  over: string;
  under: string;
  marks: string;
}

export interface FoundOps {
  total: number;
  ops: OpRef[];
}

export interface LayerKind {
  tensors: number;
  dtypes: string[];
  max_exp: (number | null)[];
  nonfinite: boolean[];
  highest: number | null;
  lowest: number | null;
}

export type KindName = "activations" | "gradients" | "weights" | "updates";

export interface Layers {
  run: string;
  session: string;
  total: number;
  first: number;
  steps: number[];
  formats: Record<string, FloatFormat>;
  layers: { name: string; kinds: Partial<Record<KindName, LayerKind>> }[];
}

export interface ComparedOp {
  op: OpRef;
  twin: OpRef;
  step: number;
  reason: "scale" | "absorbed" | "nonfinite";
  here: Measure | null;
  there: Measure | null;
}

export interface Comparison {
  run: string;
  against: string;
  verdicts: [Verdict, Verdict];
  formats: Record<string, FloatFormat>;
  aligned: number;
  only_here: number;
  only_there: number;
  common_steps: number;
  parted: number;
  ops: ComparedOp[];
}

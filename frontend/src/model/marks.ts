/** What happened to an op in a step, in words. */

import { MARK } from "./api";
import { stepRange } from "./format";

const NAMES: [bit: number, name: string][] = [
  [MARK.NAN, "NaN"],
  [MARK.INF, "∞"],
  [MARK.OVERFLOW, "overflow"],
  [MARK.UNDERFLOW, "underflow"],
  [MARK.SUBNORMAL, "subnormal values"],
  [MARK.ABSORBED, "additions absorbed"],
];

/** "NaN, overflow"; "" where nothing happened. */
export function markNames(marks: number): string {
  return NAMES.filter(([bit]) => marks & bit)
    .map(([, name]) => name)
    .join(", ");
}

/** One kind of event over the recorded steps. */
export interface EventHistory {
  name: string;
  first: number;
  last: number;
  records: number;
  /** When it happened, as runs of neighbouring records. */
  spans: string[];
}

const MAX_SPANS = 6;

/** What happened at all, in the order in which it began. */
export function eventHistory(steps: readonly number[], marks: readonly number[]): EventHistory[] {
  const histories = NAMES.flatMap(([bit, name]) => {
    const at = steps.filter((_, i) => (marks[i] ?? 0) & bit);
    const [first, last] = [at[0], at.at(-1)];
    return first === undefined || last === undefined
      ? []
      : [{ name, first, last, records: at.length, spans: spansOf(steps, marks, bit) }];
  });
  return histories.sort((a, b) => a.first - b.first);
}

function spansOf(steps: readonly number[], marks: readonly number[], bit: number): string[] {
  const spans: string[] = [];
  let start: number | null = null;
  let more = 0;
  for (let i = 0; i <= steps.length; i++) {
    const marked = i < steps.length && ((marks[i] ?? 0) & bit) !== 0;
    if (marked && start === null) start = i;
    if (!marked && start !== null) {
      if (spans.length < MAX_SPANS) spans.push(stepRange(steps[start] ?? 0, steps[i - 1] ?? 0));
      else more += 1;
      start = null;
    }
  }
  return more ? [...spans, `${more} more`] : spans;
}

import type { Certainty, Finding, Hop } from "./api";

/** Certainties as people read them. */
export const CERTAINTY_NAME: Record<Certainty, string> = {
  proven: "proven",
  event: "counted",
  possible: "possible",
};

/** The step that shows a finding best: where it began, or, of what is still on its way, the latest. */
export function tellingStep(finding: Finding): number {
  return finding.forecast ? finding.last_step : finding.first_step;
}

/** What led to a finding, and what had been said about its line beforehand, which is no cause. */
export function hopsOf({ why, first_step }: Finding): { chain: Hop[]; foreseen: Hop[] } {
  return {
    chain: why.filter((hop) => hop.step >= first_step),
    foreseen: why.filter((hop) => hop.step < first_step),
  };
}

import type { Certainty, Finding, Hop } from "./api";

/** Certainties as people read them. */
export const CERTAINTY_NAME: Record<Certainty, string> = {
  proven: "proven",
  event: "counted",
  possible: "possible",
};

/** What led to a finding, from the symptom to the cause. */
export interface Story {
  symptom: Hop[];
  /** Ops that merely handed it on to the symptom. */
  between: Hop[];
  /** The finding's own op, and what brought it there. */
  cause: Hop[];
}

export function storyOf(finding: Finding): Story {
  const { chain } = hopsOf(finding);
  const own = chain.findIndex((hop) => hop.op.key === finding.op.key);
  const between = chain.slice(1, own < 0 ? -2 : own);
  return { symptom: chain.slice(0, 1), between, cause: chain.slice(1 + between.length) };
}

/** From how many ops on those between are told in one line. */
export const MANY_PASSED = 2;

/** What led to a finding, and what had been said about its line beforehand, which is no cause. */
export function hopsOf({ why, first_step }: Finding): { chain: Hop[]; foreseen: Hop[] } {
  return {
    chain: why.filter((hop) => hop.step >= first_step),
    foreseen: why.filter((hop) => hop.step < first_step),
  };
}

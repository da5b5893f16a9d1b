import type { Finding } from "./api";

/** The step that shows a finding best: where it began, or, of what is still on its way, the latest. */
export function tellingStep(finding: Finding): number {
  return finding.forecast ? finding.last_step : finding.first_step;
}

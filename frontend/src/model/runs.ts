/** The runs of a log folder, from the worst to the best, and which of them are asked for. */

import type { RunInfo, Status, Verdict } from "./api";

/** How a run is doing; null where the server has not judged it yet. */
export type RunStatus = Status | null;

/** The worst first; what may still turn out badly comes before what is well. */
export const RUN_STATUSES = ["broken", "at risk", null, "healthy"] as const satisfies readonly RunStatus[];

/** The verdicts that are known so far, by run. */
export type Verdicts = ReadonlyMap<string, Verdict>;

export function statusOf(run: string, verdicts: Verdicts): RunStatus {
  return verdicts.get(run)?.status ?? null;
}

/** The worst run first; within a status by name, where run 10 comes after run 9. */
export function ranked(runs: readonly RunInfo[], verdicts: Verdicts): RunInfo[] {
  const rank = (run: RunInfo) => RUN_STATUSES.indexOf(statusOf(run.name, verdicts));
  return [...runs].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name, "en", { numeric: true }));
}

/** The runs that hold every word of a query in their name or their verdict. */
export function matching(runs: readonly RunInfo[], verdicts: Verdicts, query: string): RunInfo[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return runs.filter(({ name }) => {
    const text = `${name} ${verdicts.get(name)?.text ?? ""}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** How many runs there are of each status, the worst first; statuses that no run has are left out. */
export function tally(runs: readonly RunInfo[], verdicts: Verdicts): [status: RunStatus, runs: number][] {
  return RUN_STATUSES.map((status): [RunStatus, number] => [
    status,
    runs.filter(({ name }) => statusOf(name, verdicts) === status).length,
  ]).filter(([, n]) => n > 0);
}

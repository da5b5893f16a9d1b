import type { RunInfo, Verdict } from "../model/api";
import { prose } from "../model/format";
import { START } from "../model/link";
import { Icon, STATUS_SHAPE } from "./icons";
import { Link } from "./link";

export interface RunsProps {
  runs: RunInfo[];
  /** The verdicts that are known so far, by run. */
  verdicts: Map<string, Verdict>;
}

/** All runs of the log folder with their verdicts. */
export function RunList({ runs, verdicts }: RunsProps) {
  return (
    <section class="card" aria-labelledby="all-runs">
      <h2 id="all-runs">All runs</h2>
      <ul class="run-list">
        {runs.map((run) => {
          const verdict = verdicts.get(run.name);
          return (
            <li key={run.name}>
              <Icon
                shape={verdict ? STATUS_SHAPE[verdict.status] : "pending"}
                label={verdict ? verdict.status : "not looked at yet"}
              />
              <Link to={{ ...START, run: run.name }}>{run.name}</Link>
              <span class="muted">{verdict && prose(verdict.text)}</span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

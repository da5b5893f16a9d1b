import { useApp } from "../context";
import type { RunInfo, Verdict } from "../model/api";
import { prose } from "../model/format";
import { START, type State } from "../model/link";
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
      <RunItems runs={runs} verdicts={verdicts} to={(run) => ({ ...START, run })} />
    </section>
  );
}

interface RunItemsProps extends RunsProps {
  /** Where a run's name leads. */
  to: (run: string) => Partial<State>;
}

export function RunItems({ runs, verdicts, to }: RunItemsProps) {
  const { state } = useApp();
  return (
    <ul class="run-list">
      {runs.map(({ name }) => {
        const verdict = verdicts.get(name);
        return (
          <li key={name}>
            <Icon
              shape={verdict ? STATUS_SHAPE[verdict.status] : "pending"}
              label={verdict ? verdict.status : "not looked at yet"}
            />
            <Link to={to(name)} current={name === state.run}>
              {runName(name)}
            </Link>
            <span class="muted">{verdict && prose(verdict.text)}</span>
          </li>
        );
      })}
    </ul>
  );
}

/** TensorBoard calls a run that lies in the log folder itself ".". */
export function runName(name: string): string {
  return name === "." ? "(log folder)" : name;
}

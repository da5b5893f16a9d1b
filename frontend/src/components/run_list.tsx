import { useApp } from "../context";
import type { RunInfo, Status, Verdict } from "../model/api";
import { count, prose } from "../model/format";
import { START, type State } from "../model/link";
import { Icon, STATUS_SHAPE } from "./icons";
import { Link } from "./link";

const STATUSES = ["broken", "at risk", "healthy"] as const satisfies readonly Status[];

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
      <p class="muted">{tally(runs, verdicts)}</p>
      <RunItems runs={runs} verdicts={verdicts} to={(run) => ({ ...START, run })} />
    </section>
  );
}

/** "3 broken, 12 healthy": what a long list is too long to show at a glance. */
function tally(runs: RunInfo[], verdicts: RunsProps["verdicts"]): string {
  const having = (status: Status | undefined) =>
    runs.filter(({ name }) => verdicts.get(name)?.status === status).length;
  const counts: [number, string][] = [
    ...STATUSES.map((status): [number, string] => [having(status), status]),
    [having(undefined), "not looked at yet"],
  ];
  return counts
    .filter(([n]) => n > 0)
    .map(([n, status]) => `${count(n)} ${status}`)
    .join(", ");
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

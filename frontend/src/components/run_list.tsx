import { useState } from "preact/hooks";
import { useApp } from "../context";
import type { RunInfo } from "../model/api";
import { count, plural, prose } from "../model/format";
import { START, type State } from "../model/link";
import { matching, type RunStatus, ranked, statusOf, tally, type Verdicts } from "../model/runs";
import { Icon, type Shape, STATUS_SHAPE } from "./icons";
import { Link } from "./link";

/** From so many runs on, one wants to look for a run by its name. */
const MANY = 8;

const NOT_JUDGED = "not looked at yet";

export interface RunsProps {
  runs: RunInfo[];
  /** The verdicts that are known so far, by run. */
  verdicts: Verdicts;
}

/** All runs of the log folder with their verdicts. */
export function AllRuns(props: RunsProps) {
  return (
    <section class="card" aria-labelledby="all-runs">
      <h2 id="all-runs">All runs</h2>
      <RunList {...props} to={(run) => ({ ...START, run })} most={12} />
    </section>
  );
}

interface RunListProps extends RunsProps {
  /** Where a run's name leads. */
  to: (run: string) => Partial<State>;
  /** How many runs to show until more are asked for; all, if left out. */
  most?: number;
}

/** Runs, the worst first, to be narrowed by words and by verdict. */
export function RunList({ runs, verdicts, to, most = Number.POSITIVE_INFINITY }: RunListProps) {
  const [query, setQuery] = useState("");
  // Undefined: every status. Null is a status of its own.
  const [only, setOnly] = useState<RunStatus | undefined>(undefined);
  const [all, setAll] = useState(false);
  const named = matching(runs, verdicts, query);
  const wanted = named.filter((run) => only === undefined || statusOf(run.name, verdicts) === only);
  const shown = ranked(wanted, verdicts).slice(0, all ? undefined : most);
  return (
    <div class="runs">
      <div class="runs-narrow">
        {runs.length >= MANY && (
          <input
            type="search"
            placeholder="Find a run or a finding"
            aria-label="Find a run by its name or its verdict"
            value={query}
            onInput={(event) => setQuery(event.currentTarget.value)}
          />
        )}
        <Statuses counts={tally(named, verdicts)} only={only} choose={setOnly} />
      </div>
      <RunItems runs={shown} verdicts={verdicts} to={to} />
      {shown.length === 0 && <p class="muted">No run of {count(runs.length)} is like that.</p>}
      {shown.length < wanted.length && (
        <button type="button" class="button" onClick={() => setAll(true)}>
          Show all {plural(wanted.length, "run")}
        </button>
      )}
    </div>
  );
}

interface StatusesProps {
  counts: [RunStatus, number][];
  only: RunStatus | undefined;
  choose: (only: RunStatus | undefined) => void;
}

/** "3 broken, 12 healthy", each to be looked at alone: what a long list is too long to show at a glance. */
function Statuses({ counts, only, choose }: StatusesProps) {
  return (
    <span class="statuses">
      {counts.map(([status, n]) => (
        <button
          type="button"
          class="chip"
          key={status}
          aria-pressed={status === only}
          onClick={() => choose(status === only ? undefined : status)}
        >
          <Icon shape={shapeOf(status)} /> {count(n)} {status ?? NOT_JUDGED}
        </button>
      ))}
    </span>
  );
}

function RunItems({ runs, verdicts, to }: RunListProps) {
  const { state } = useApp();
  return (
    <ul class="run-list">
      {runs.map(({ name }) => {
        const status = statusOf(name, verdicts);
        return (
          <li key={name}>
            <Icon shape={shapeOf(status)} label={status ?? NOT_JUDGED} />
            <Link to={to(name)} current={name === state.run}>
              {runName(name)}
            </Link>
            <span class="muted">{prose(verdicts.get(name)?.text ?? "")}</span>
          </li>
        );
      })}
    </ul>
  );
}

export function shapeOf(status: RunStatus): Shape {
  return status === null ? "pending" : STATUS_SHAPE[status];
}

/** TensorBoard calls a run that lies in the log folder itself ".". */
export function runName(name: string): string {
  return name === "." ? "(log folder)" : name;
}

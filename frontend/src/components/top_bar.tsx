import { useApp } from "../context";
import { addressOf } from "../host/address";
import type { RunInfo } from "../model/api";
import { formatHash, START, type State, type View } from "../model/link";
import { CopyButton } from "./copy_button";
import { Icon, STATUS_SHAPE } from "./icons";
import { Link } from "./link";
import { OpSearch } from "./op_search";
import { type RunsProps, runName } from "./run_list";

const TABS: { view: View; name: string }[] = [
  { view: "overview", name: "Overview" },
  { view: "map", name: "Health map" },
  { view: "interactions", name: "Scales" },
  { view: "layers", name: "Layers" },
  { view: "compare", name: "Compare" },
];

/** Which run, which page, and the link to it. */
export function TopBar({ runs, verdicts }: RunsProps) {
  const { state } = useApp();
  return (
    <header class="bar">
      <RunChoice runs={runs} verdicts={verdicts} />
      <nav aria-label="Pages of this run">
        {TABS.map(({ view, name }) => (
          <Link
            key={view}
            to={{ view, op: null, step: null, filters: {} }}
            class="tab"
            current={state.view === view}
          >
            {name}
          </Link>
        ))}
      </nav>
      <span class="bar-end">
        <OpSearch />
        <CopyButton
          label="Copy link"
          text={() => addressOf(formatHash(pinned(state, runs)))}
          done="Link copied."
        />
      </span>
    </header>
  );
}

/** A state that a later restart of the training does not change: of several sessions, the one shown. */
function pinned(state: State, runs: RunInfo[]): State {
  const sessions = runs.find((run) => run.name === state.run)?.sessions ?? [];
  if (sessions.length < 2) return state;
  return { ...state, session: state.session ?? sessions.at(-1)?.id ?? null };
}

function RunChoice({ runs, verdicts }: RunsProps) {
  const { state, go } = useApp();
  const own = verdicts.get(state.run ?? "")?.status;
  const choose = (name: string) =>
    go({ ...START, view: state.view === "op" ? "overview" : state.view, run: name });
  return (
    <label class="run-choice">
      <Icon shape={own ? STATUS_SHAPE[own] : "pending"} {...(own ? { label: own } : {})} />
      <span class="offscreen">Run</span>
      <select value={state.run ?? ""} onChange={(e) => choose(e.currentTarget.value)}>
        {runs.some((run) => run.name === state.run) || <option value={state.run ?? ""}>{state.run}</option>}
        {runs.map((run) => (
          <option key={run.name} value={run.name}>
            {runName(run.name)}
            {verdicts.has(run.name) ? ` – ${verdicts.get(run.name)?.status}` : ""}
          </option>
        ))}
      </select>
    </label>
  );
}

import { useApp } from "../context";
import { addressOf } from "../host/address";
import { formatHash, START, type View } from "../model/link";
import { CopyButton } from "./copy_button";
import { Icon, STATUS_SHAPE } from "./icons";
import { Link } from "./link";
import { OpSearch } from "./op_search";
import type { RunsProps } from "./run_list";

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
        <CopyButton label="Copy link" text={() => addressOf(formatHash(state))} done="Link copied." />
      </span>
    </header>
  );
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
            {run.name === "." ? "(log folder)" : run.name}
            {verdicts.has(run.name) ? ` – ${verdicts.get(run.name)?.status}` : ""}
          </option>
        ))}
      </select>
    </label>
  );
}

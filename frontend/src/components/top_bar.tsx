import { useEffect, useState } from "preact/hooks";
import { useApp } from "../context";
import { addressOf } from "../host/address";
import type { RunInfo, RunVerdict, Status } from "../model/api";
import { formatHash, START, type View } from "../model/link";
import { CopyButton } from "./copy_button";
import { Icon, STATUS_SHAPE } from "./icons";
import { Link } from "./link";

const TABS: { view: View; name: string }[] = [{ view: "overview", name: "Overview" }];

/** Which run, which page, and the link to it. */
export function TopBar({ runs }: { runs: RunInfo[] }) {
  const { state } = useApp();
  return (
    <header class="bar">
      <RunChoice runs={runs} />
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
        <CopyButton label="Copy link" text={() => addressOf(formatHash(state))} done="Link copied." />
      </span>
    </header>
  );
}

function RunChoice({ runs }: { runs: RunInfo[] }) {
  const { state, go } = useApp();
  const status = useStatuses(runs);
  const own = status.get(state.run ?? "");
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
            {status.has(run.name) ? ` – ${status.get(run.name)}` : ""}
          </option>
        ))}
      </select>
    </label>
  );
}

/** The verdict on each run, asked for one after the other so that the open page comes first. */
export function useStatuses(runs: RunInfo[]): Map<string, Status> {
  const { source, version } = useApp();
  const [known, setKnown] = useState(new Map<string, Status>());
  const names = runs.filter((run) => run.sessions.some((s) => s.records > 0)).map((run) => run.name);
  const list = JSON.stringify(names);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `version` stands for the data behind the answers.
  useEffect(() => {
    let wanted = true;
    (async () => {
      for (const run of JSON.parse(list) as string[]) {
        const answer = await source.get<RunVerdict>("verdict", { run }).catch(() => null);
        if (!wanted) return;
        if (answer) setKnown((before) => new Map(before).set(run, answer.verdict.status));
      }
    })();
    return () => {
      wanted = false;
    };
  }, [list, source, version]);
  return known;
}

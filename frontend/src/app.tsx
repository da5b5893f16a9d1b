import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Link } from "./components/link";
import { type RunsProps, runName } from "./components/run_list";
import { EmptyState, Failure, Waiting } from "./components/states";
import { TopBar } from "./components/top_bar";
import { useVerdicts } from "./components/use_verdicts";
import { type App, AppContext, PermalinkContext, useAnswer, useApp } from "./context";
import { addressOf, onHashChange, pushHash, readHash, replaceHash } from "./host/address";
import { keepPlace, returnToPlace } from "./host/place";
import { onDataReloaded } from "./host/reload";
import type { RunInfo, Runs } from "./model/api";
import { formatHash, parseHash, pinned, START, type State } from "./model/link";
import { ranked, type Verdicts } from "./model/runs";
import type { Source } from "./source";
import { CompareView } from "./views/compare";
import { HealthMapView } from "./views/health_map";
import { InteractionsView } from "./views/interactions";
import { LayersView } from "./views/layers";
import { NothingWatched } from "./views/nothing_watched";
import { OpPageView } from "./views/op_page";
import { OverviewView } from "./views/overview";

/** The version of the API this bundle was built for. */
const API_VERSION = 1;

export function AppRoot({ source }: { source: Source }) {
  const navigation = useNavigation();
  const [version, setVersion] = useState(0);
  const [message, setMessage] = useState("");
  const refresh = useCallback(() => setVersion((v) => v + 1), []);
  useEffect(() => onDataReloaded(refresh), [refresh]);

  const app = useMemo<App>(
    () => ({ source, version, refresh, announce: setMessage, ...navigation }),
    [source, version, refresh, navigation],
  );
  return (
    <AppContext.Provider value={app}>
      <Shell />
      <div class="toast" role="status" aria-live="polite" key={message}>
        {message}
      </div>
    </AppContext.Provider>
  );
}

/** Holds the state and keeps it and the address the same. */
function useNavigation(): Pick<App, "state" | "go" | "takeFocus"> {
  const [state, setState] = useState<State>(() => parseHash(readHash()) ?? START);
  const current = useRef(state);
  const wantsFocus = useRef(false);

  const show = useCallback((next: State) => {
    current.current = next;
    setState(next);
  }, []);

  const go = useCallback<App["go"]>(
    (change, how = "push") => {
      const next = { ...current.current, ...change };
      const hash = formatHash(next);
      wantsFocus.current = next.view !== current.current.view || next.op !== current.current.op;
      if (how === "push") keepPlace(formatHash(current.current));
      show(next);
      if (how === "push" && hash !== readHash()) pushHash(hash);
      else replaceHash(hash);
    },
    [show],
  );

  const takeFocus = useCallback(() => {
    const wanted = wantsFocus.current;
    wantsFocus.current = false;
    return wanted;
  }, []);

  useEffect(
    () =>
      onHashChange(() => {
        const next = parseHash(readHash());
        const left = formatHash(current.current);
        if (next === null || formatHash(next) === left) return;
        // Coming back from another tab of TensorBoard, the address has lost the state: give it back.
        if (next.run === null && current.current.run !== null) {
          replaceHash(left);
          return;
        }
        keepPlace(left);
        show(next);
        returnToPlace(formatHash(next));
      }),
    [show],
  );
  return useMemo(() => ({ state, go, takeFocus }), [state, go, takeFocus]);
}

/** Chooses what to show once it is known which runs there are. */
function Shell() {
  const runs = useAnswer<Runs>("runs");
  if (runs.error) return <Failure error={runs.error} />;
  if (runs.value === null) return <Waiting what="Reading the log folder" />;
  if (runs.value.api !== API_VERSION) {
    return (
      <EmptyState title="This page and the server are of different versions">
        tb-numstab was updated while the page was open. Reload the page.
      </EmptyState>
    );
  }
  if (runs.value.runs.length === 0) return <NothingWatched />;
  return <RunShell runs={runs.value.runs} />;
}

function RunShell({ runs }: { runs: RunInfo[] }) {
  const { state, go, source } = useApp();
  const verdicts = useVerdicts(runs);
  const first = source.live ? newest(runs) : worst(runs, verdicts);
  const permalink = useCallback(
    (change: Partial<State> = {}) => {
      // A report knows no other session than the one it was made of.
      const shown = source.live ? pinned(state, runs) : state;
      return addressOf(formatHash({ ...shown, ...change }));
    },
    [state, runs, source],
  );
  useEffect(() => {
    if (state.run === null && first !== null) go({ run: first }, "replace");
  }, [state.run, first, go]);
  // A link out of TensorBoard names the session, which goes without saying in a report that is of it.
  const redundant =
    !source.live && state.session !== null && state.session === reportedSession(runs, state.run);
  useEffect(() => {
    if (redundant) go({ session: null }, "replace");
  }, [redundant, go]);
  if (state.run === null || redundant) return null;
  return (
    <PermalinkContext.Provider value={permalink}>
      <TopBar runs={runs} verdicts={verdicts} />
      <main class="page" data-view={state.view}>
        {runs.some((run) => run.name === state.run) ? (
          <Page runs={runs} verdicts={verdicts} />
        ) : (
          <MissingRun first={first} />
        )}
      </main>
    </PermalinkContext.Provider>
  );
}

function MissingRun({ first }: { first: string | null }) {
  const { state } = useApp();
  return (
    <EmptyState title={`There is no watched run "${state.run}" in this log folder`}>
      Perhaps it was trained without tb-numstab, or moved, or the link comes from another log folder.{" "}
      {first !== null && <Link to={{ ...START, run: first }}>Show {runName(first)}</Link>}
    </EmptyState>
  );
}

function Page({ runs, verdicts }: RunsProps) {
  const { state } = useApp();
  switch (state.view) {
    case "overview":
      return <OverviewView runs={runs} verdicts={verdicts} />;
    case "op":
      return <OpPageView />;
    case "map":
      return <HealthMapView />;
    case "interactions":
      return <InteractionsView />;
    case "layers":
      return <LayersView />;
    case "compare":
      return <CompareView runs={runs} verdicts={verdicts} />;
  }
}

/** The session of a run that a report is of. */
function reportedSession(runs: RunInfo[], name: string | null): string | undefined {
  return runs.find((run) => run.name === name)?.sessions.findLast((session) => session.records > 0)?.id;
}

/** The run that was started last: what someone who has just trained wants to see. */
function newest(runs: RunInfo[]): string | null {
  const started = (run: RunInfo) => run.sessions.at(-1)?.id ?? "";
  return [...runs].sort((a, b) => (started(a) < started(b) ? 1 : -1))[0]?.name ?? null;
}

/** What a report begins with: its worst run; null until the verdicts on all of them have been read. */
function worst(runs: RunInfo[], verdicts: Verdicts): string | null {
  return verdicts.size < runs.length ? null : (ranked(runs, verdicts)[0]?.name ?? null);
}

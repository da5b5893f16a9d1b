/** The state of the tab as it stands in the address: #numstab&p.numstab.run=...&p.numstab.op=... */

import type { RunInfo } from "./api";

export const VIEWS = ["overview", "op", "map", "interactions", "layers", "compare"] as const;
export type View = (typeof VIEWS)[number];

export interface State {
  view: View;
  /** Null until the user, or the list of runs, has chosen one. */
  run: string | null;
  /** Null for the latest session of the run. */
  session: string | null;
  /** Null for the step the page itself finds most telling. */
  step: number | null;
  op: string | null;
  /** The run to compare with. */
  against: string | null;
  /** What a page narrows itself down to, by name; a page ignores names it does not know. */
  filters: Record<string, string>;
}

export const START: State = {
  view: "overview",
  run: null,
  session: null,
  step: null,
  op: null,
  against: null,
  filters: {},
};

const PLUGIN = "numstab";
const PREFIX = `p.${PLUGIN}.`;

/** A state that a later restart of the training does not change: it names the session it shows. */
export function pinned(state: State, runs: readonly RunInfo[]): State {
  const latest = runs.find((run) => run.name === state.run)?.sessions.at(-1)?.id ?? null;
  return { ...state, session: state.session ?? latest };
}

/** The state in a hash; null where the hash belongs to another tab. */
export function parseHash(hash: string): State | null {
  const [tab, ...pairs] = hash.replace(/^#/, "").split("&");
  if (tab !== "" && tab !== PLUGIN) return null;
  const values = new Map<string, string>();
  for (const pair of pairs) {
    const [key, value, more] = pair.split("=");
    if (key?.startsWith(PREFIX) && value !== undefined && more === undefined) {
      values.set(key.slice(PREFIX.length), decoded(value));
    }
  }
  return stateOf(values);
}

function stateOf(values: Map<string, string>): State {
  const take = (key: string) => {
    const value = values.get(key) ?? null;
    values.delete(key);
    return value || null;
  };
  const op = take("op");
  const view = take("view");
  const step = take("step");
  return {
    op,
    view: VIEWS.find((v) => v === view) ?? (op === null ? "overview" : "op"),
    run: take("run"),
    session: take("session"),
    step: step !== null && /^-?\d{1,15}$/.test(step) ? Number(step) : null,
    against: take("against"),
    filters: Object.fromEntries(values),
  };
}

/** The hash of a state; what is at its default stays out. */
export function formatHash(state: State): string {
  const implied: View = state.op === null ? "overview" : "op";
  const pairs: [string, string | number | null][] = [
    ["run", state.run],
    ["session", state.session],
    ["view", state.view === implied ? null : state.view],
    ["step", state.step],
    ["op", state.op],
    ["against", state.against],
    ...Object.entries(state.filters).sort(([a], [b]) => (a < b ? -1 : 1)),
  ];
  const shown = pairs.filter(([, value]) => value !== null && value !== "");
  return `#${[PLUGIN, ...shown.map(([key, value]) => `${PREFIX}${key}=${encodeURIComponent(String(value))}`)].join("&")}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A lone "%" typed by hand: take it as it is.
    return text;
  }
}

/** What every part of the page may ask for: the state, the way to change it, and the source of answers. */

import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
import type { State } from "./model/link";
import { AWAY, type Params, routeKey, type Source, type SourceError } from "./source";

export interface App {
  source: Source;
  state: State;
  /** Grows when TensorBoard has read the log folder again. */
  version: number;
  /** Asks for everything on the page again. */
  refresh(): void;
  /** Goes to another state; `replace` leaves no step in the browser's history. */
  go(change: Partial<State>, how?: "push" | "replace"): void;
  /** True once after the user has gone to another page: its title then takes the focus. */
  takeFocus(): boolean;
  /** Says something to a screen reader, and to everyone in the corner of the page. */
  announce(message: string): void;
}

export const AppContext = createContext<App | null>(null);

export function useApp(): App {
  const app = useContext(AppContext);
  if (app === null) throw new Error("useApp outside of the app");
  return app;
}

/** Makes the address of a state that shows the same after the training has been restarted. */
export const PermalinkContext = createContext<(change?: Partial<State>) => string>(() => "");

export function usePermalink(): (change?: Partial<State>) => string {
  return useContext(PermalinkContext);
}

/** An answer on its way, here, or failed. While a newer one is fetched, the last one stays. */
export interface Answer<T> {
  value: T | null;
  error: SourceError | null;
  loading: boolean;
}

interface Held<T> extends Answer<T> {
  key: string;
  scope: string;
}

/** Milliseconds until an unfinished answer is asked for again. */
const PAUSE = 200;

/**
 * Fetches a route again whenever it, its parameters or the data change, or while the answer is `unfinished`;
 * path null fetches nothing.
 *
 * An answer stays on the page until the next one of the same route, run and session is there, so that
 * walking through steps neither flickers nor loses the keyboard's place. Another run's never does. Where the
 * server is away while the same is asked for again, what is there is kept and the failure announced.
 */
export function useAnswer<T>(
  path: string | null,
  params: Params = {},
  unfinished: (value: T) => boolean = () => false,
): Answer<T> {
  const { source, version, announce } = useApp();
  const key = path === null ? "" : routeKey(path, params);
  const scope = path === null ? "" : routeKey(path, { run: params.run, session: params.session });
  const [held, setHeld] = useState<Held<T>>({ key, scope, value: null, error: null, loading: key !== "" });

  // biome-ignore lint/correctness/useExhaustiveDependencies: `key` stands for path and params, `version` for the data.
  useEffect(() => {
    if (path === null) return;
    let wanted = true;
    const here = { key, scope };
    const again = held.key === key && held.value !== null;
    setHeld((last) => ({
      ...here,
      value: last.scope === scope ? last.value : null,
      error: null,
      loading: true,
    }));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = () =>
      source.get<T>(path, params).then(
        (value) => {
          if (!wanted) return;
          setHeld({ ...here, value, error: null, loading: false });
          if (unfinished(value)) timer = setTimeout(ask, PAUSE);
        },
        (error: SourceError) => {
          if (!wanted) return;
          if (again && error.code === AWAY) announce(error.message);
          else setHeld({ ...here, value: null, error, loading: false });
        },
      );
    ask();
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [key, version, source]);

  // In the render right after a change, the effect has not run yet: what is held is another page's.
  if (held.scope !== scope) return { value: null, error: null, loading: path !== null };
  return held.key === key ? held : { value: held.value, error: null, loading: true };
}

import { useCallback, useRef, useState } from "preact/hooks";
import { useAnswer, useApp } from "../context";
import type { FoundOps } from "../model/api";
import { place, plural } from "../model/format";
import { Link, OpName, opState } from "./link";
import { useDismissal } from "./use_dismissal";

/** Goes to an op by its type, name, layer, variable or source line. */
export function OpSearch() {
  const { state, source } = useApp();
  const [query, setQuery] = useState("");
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const close = useCallback(() => setOpen(false), []);
  useDismissal(root, close);
  const { value } = useAnswer<FoundOps>(query ? "ops" : null, {
    run: state.run,
    session: state.session,
    query,
  });
  if (!source.live) return null;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents lint/a11y/noStaticElementInteractions: the links inside are what is clicked, by the keyboard too.
    <div
      class="search"
      ref={root}
      onClick={(event) => event.target instanceof Element && event.target.closest("a") && setQuery("")}
    >
      <input
        type="search"
        placeholder="Find an op or line"
        aria-label="Find an op by type, name, layer or source line"
        value={query}
        onFocus={() => setOpen(true)}
        onInput={(event) => {
          setQuery(event.currentTarget.value);
          setOpen(true);
        }}
      />
      {open && query && value && (
        <div class="popover search-results">
          <p class="muted" role="status">
            {plural(value.total, "op")} found
          </p>
          <ul>
            {value.ops.map((op) => (
              <li key={op.key}>
                <Link to={opState(op, null)}>
                  <OpName op={op} />
                </Link>
                {op.source && <small class="muted"> {place(op.source)}</small>}
              </li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}

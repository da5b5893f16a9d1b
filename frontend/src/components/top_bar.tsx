import { useApp, usePermalink } from "../context";
import type { View } from "../model/link";
import { CopyButton } from "./copy_button";
import { Link } from "./link";
import { OpSearch } from "./op_search";
import { RunChoice } from "./run_choice";
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
  const permalink = usePermalink();
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
        <CopyButton label="Copy link" text={permalink} done="Link copied." />
      </span>
    </header>
  );
}

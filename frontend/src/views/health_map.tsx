import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { MapBody } from "../components/map_body";
import { MapSummary } from "../components/map_summary";
import { MapTable } from "../components/map_table";
import { PageTitle } from "../components/page_title";
import { EmptyState, Failure, NoStepYet, Waiting } from "../components/states";
import { useAnswer, useApp } from "../context";
import type { HealthMap } from "../model/api";
import { count, plural, stepRange } from "../model/format";
import { LEVELS, levelName, MapCells, type Metric, parseRange } from "../model/health_map";

/** Every tensor over every step. Rows and steps shown, and the limit looked at, stand in the link. */
export function HealthMapView() {
  const { state, source } = useApp();
  // A report holds the whole map and no part of it.
  const rows = source.live ? parseRange(state.filters.rows) : null;
  const steps = source.live ? parseRange(state.filters.steps) : null;
  const { value, error } = useAnswer<HealthMap>("map", {
    run: state.run,
    session: state.session,
    first_row: rows?.[0],
    last_row: rows?.[1],
    first_step: steps?.[0],
    last_step: steps?.[1],
  });
  if (error) return <Failure error={error} />;
  if (value === null) return <Waiting what="Drawing the map" />;
  if (value.rows.length === 0 || (value.columns.length === 0 && !steps)) return <NoStepYet />;
  if (value.columns.length === 0) return <EmptyState title="No step was recorded in this range" />;
  return <MapPage map={value} />;
}

function MapPage({ map }: { map: HealthMap }) {
  const { state, go } = useApp();
  const metric: Metric = state.filters.metric === "under" ? "under" : "over";
  const cells = useMemo(() => new MapCells(map), [map]);
  const filter = (change: Record<string, string>) => go({ filters: { ...state.filters, ...change } });
  return (
    <section class="card" aria-labelledby="map-title">
      <header class="head">
        <div>
          <PageTitle id="map-title">Health map</PageTitle>
          <p class="muted">
            {metric === "over"
              ? "Bits left between the largest magnitude of each tensor and overflow."
              : "Bits left between the largest magnitude of each tensor and underflow, where all of it vanishes."}
          </p>
        </div>
        <div class="toggles">
          <button
            type="button"
            class="toggle"
            aria-pressed={metric === "over"}
            onClick={() => filter({ metric: "" })}
          >
            To overflow
          </button>
          <button
            type="button"
            class="toggle"
            aria-pressed={metric === "under"}
            onClick={() => filter({ metric: "under" })}
          >
            To underflow
          </button>
        </div>
      </header>
      <MapLegend />
      <MapZoom map={map} reset={filter}>
        <MapSummary cells={cells} metric={metric} />
      </MapZoom>
      <MapBody cells={cells} metric={metric} zoom={filter} />
      <MapTable cells={cells} metric={metric} />
    </section>
  );
}

function MapLegend() {
  return (
    <ul class="legend">
      {LEVELS.map((_, level) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the level is the index.
        <li key={level}>
          <i class="key" style={{ background: `var(--level-${level})` }} /> {levelName(level)}
        </li>
      ))}
      <li>
        <i class="key key-nan" /> NaN
      </li>
      <li>
        <i class="key key-inf" /> ∞
      </li>
      <li>
        <i class="key key-none" /> nothing finite measured
      </li>
    </ul>
  );
}

interface MapZoomProps {
  children: ComponentChildren;
  map: HealthMap;
  reset: (change: Record<string, string>) => void;
}

/** What part of the map is shown, what of it matters most, and the way back to the whole. */
function MapZoom({ map, reset, children }: MapZoomProps) {
  const { state, source } = useApp();
  const [first, last] = map.rows_shown;
  const [start, end] = [map.columns[0]?.[0] ?? 0, map.columns.at(-1)?.[1] ?? 0];
  return (
    <p class="map-zoom">
      <span>
        {last - first < map.total_rows && `${count(last - first)} of `}
        {plural(map.total_rows, "tensor")}, {stepRange(start, end)}.
      </span>
      {children}
      {source.live && state.filters.rows && (
        <button type="button" class="button" onClick={() => reset({ rows: "" })}>
          All tensors
        </button>
      )}
      {source.live && state.filters.steps && (
        <button type="button" class="button" onClick={() => reset({ steps: "" })}>
          All steps
        </button>
      )}
    </p>
  );
}

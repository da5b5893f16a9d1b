import { useMemo } from "preact/hooks";
import { MapBody } from "../components/map_body";
import { MapTable } from "../components/map_table";
import { PageTitle } from "../components/page_title";
import { EmptyState, Failure, Waiting } from "../components/states";
import { useAnswer, useApp } from "../context";
import type { HealthMap } from "../model/api";
import { count, plural } from "../model/format";
import { LEVELS, levelName, MapCells, type Metric, parseRange } from "../model/health_map";

/** Every tensor over every step. Rows and steps shown, and the limit looked at, stand in the link. */
export function HealthMapView() {
  const { state } = useApp();
  const rows = parseRange(state.filters.rows);
  const steps = parseRange(state.filters.steps);
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
  if (value.rows.length === 0) return <EmptyState title="No tensor has been measured yet" />;
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
      <header class="card-head">
        <div>
          <PageTitle id="map-title">Health map</PageTitle>
          <p class="muted">
            {metric === "over"
              ? "Bits between the largest magnitude and overflow."
              : "Bits between the largest magnitude and underflow: where a whole tensor is about to vanish."}
          </p>
        </div>
        <div>
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
      <MapZoom map={map} reset={filter} />
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
    </ul>
  );
}

interface MapZoomProps {
  map: HealthMap;
  reset: (change: Record<string, string>) => void;
}

/** What part of the map is shown, and the way back to the whole. */
function MapZoom({ map, reset }: MapZoomProps) {
  const { state } = useApp();
  const [first, last] = map.rows_shown;
  return (
    <p class="map-zoom">
      {plural(last - first, "tensor")} of {count(map.total_rows)}
      {state.filters.rows && (
        <button type="button" class="button" onClick={() => reset({ rows: "" })}>
          All tensors
        </button>
      )}
      {state.filters.steps && (
        <button type="button" class="button" onClick={() => reset({ steps: "" })}>
          All steps
        </button>
      )}
    </p>
  );
}

import { useEffect, useMemo, useState } from "preact/hooks";
import { box } from "../components/box";
import { opState } from "../components/link";
import { type Cursor, MapCanvas } from "../components/map_canvas";
import { MapTable } from "../components/map_table";
import { PageTitle } from "../components/page_title";
import { EmptyState, Failure, Waiting } from "../components/states";
import { useWidth } from "../components/use_width";
import { useAnswer, useApp } from "../context";
import type { HealthMap } from "../model/api";
import { count, plural } from "../model/format";
import {
  cellText,
  LEVELS,
  layoutOf,
  levelName,
  MapCells,
  type MapLayout,
  type Metric,
  parseRange,
  rowName,
} from "../model/health_map";

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
      <MapBody map={map} cells={cells} metric={metric} zoom={filter} />
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

const HINT =
  "Point at a cell, or use the arrow keys. Enter opens it, drag or + zooms into steps, Escape shows all.";
const HINT_STATIC = "Point at a cell, or use the arrow keys. Enter opens a tensor's page.";

interface MapBodyProps {
  map: HealthMap;
  cells: MapCells;
  metric: Metric;
  zoom: (change: Record<string, string>) => void;
}

function MapBody({ map, cells, metric, zoom }: MapBodyProps) {
  const { go, source } = useApp();
  const [ref, width] = useWidth<HTMLDivElement>();
  const [cursor, setCursor] = useState<Cursor | null>(null);
  const layout = useMemo(() => layoutOf(map.rows), [map]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another map has other cells.
  useEffect(() => setCursor(null), [map]);

  const zoomSteps = (from: number, to: number) => {
    if (!source.live) return;
    const [start, end] = [map.columns[from], map.columns[to]];
    if (start && end) zoom({ steps: `${start[0]}-${end[1] + 1}` });
  };
  const open = ({ row, column }: Cursor) => {
    const shown = map.rows[row];
    if (!shown) return;
    if (shown.op) go(opState(shown.op, map.columns[column]?.[1] ?? null));
    else if (source.live) zoom({ rows: `${shown.first}-${shown.last}` });
  };
  const key = (event: KeyboardEvent) => {
    const at = cursor ?? { row: 0, column: 0 };
    if (event.key === "Enter") open(at);
    else if (event.key === "Escape") zoom({ rows: "", steps: "" });
    else if (event.key === "+") zoomSteps(...around(at.column, cells.columns));
    else if (MOVES[event.key]) setCursor(moved(at, event, cells));
    else return;
    event.preventDefault();
  };
  const text = cursor
    ? cellText(map, cursor.row, cursor.column, cells.cell(cursor.row, cursor.column, metric), metric)
    : "";
  return (
    <>
      <p class="map-readout" role="status">
        {text || (source.live ? HINT : HINT_STATIC)}
      </p>
      <div class="map">
        <MapLabels map={map} layout={layout} />
        <div
          ref={ref}
          class="map-field"
          role="application"
          aria-label="Health map cells"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: the role "application" takes keys of its own.
          tabIndex={0}
          onKeyDown={key}
        >
          {width > 0 && (
            <MapCanvas
              cells={cells}
              layout={layout}
              metric={metric}
              width={width}
              cursor={cursor}
              point={setCursor}
              open={open}
              zoomSteps={zoomSteps}
            />
          )}
          <p class="map-steps muted">
            <span>step {map.columns[0]?.[0]}</span>
            <span>step {map.columns.at(-1)?.[1]}</span>
          </p>
        </div>
      </div>
    </>
  );
}

function MapLabels({ map, layout }: { map: HealthMap; layout: MapLayout }) {
  return (
    <ol class="map-labels" style={box({ height: layout.height })}>
      {layout.heads.map(({ top, name }) => (
        <li key={`group ${top}`} class="map-label map-group" style={box({ top })} title={name}>
          {name}
        </li>
      ))}
      {map.rows.map((row, i) => (
        <li key={row.first} class="map-label" style={box({ top: layout.tops[i] ?? 0 })} title={rowName(row)}>
          {row.op ? row.op.op_type : row.group}
          {row.groups > 1 && " …"}
          {row.op && <span class="muted"> {row.op.variable || row.op.name.split("/").pop()}</span>}
        </li>
      ))}
    </ol>
  );
}

const MOVES: Record<string, [row: number, column: number]> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  PageUp: [-10, 0],
  PageDown: [10, 0],
  Home: [0, Number.NEGATIVE_INFINITY],
  End: [0, Number.POSITIVE_INFINITY],
};

function moved(at: Cursor, event: KeyboardEvent, cells: MapCells): Cursor {
  const [rows, columns] = MOVES[event.key] ?? [0, 0];
  return {
    row: Math.min(Math.max(at.row + rows, 0), cells.rows - 1),
    column: Math.min(Math.max(at.column + columns, 0), cells.columns - 1),
  };
}

/** Half of the columns, with the cursor in the middle where that is possible. */
function around(column: number, columns: number): [number, number] {
  const span = Math.max(1, Math.floor(columns / 2));
  const from = Math.min(Math.max(column - Math.floor(span / 2), 0), columns - span);
  return [from, from + span - 1];
}

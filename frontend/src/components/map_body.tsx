import { useEffect, useMemo, useState } from "preact/hooks";
import { useApp } from "../context";
import type { HealthMap } from "../model/api";
import {
  around,
  type Cursor,
  cellText,
  layoutOf,
  type MapCells,
  type MapLayout,
  type Metric,
  moved,
  rowName,
} from "../model/health_map";
import { box } from "./box";
import { opState } from "./link";
import { MapCanvas } from "./map_canvas";
import { useWidth } from "./use_width";

const HINT =
  "Point at a cell, or use the arrow keys. Enter opens it, drag or + zooms into steps, Escape shows all.";
const HINT_STATIC = "Point at a cell, or use the arrow keys. Enter opens a tensor's page.";

interface MapBodyProps {
  cells: MapCells;
  metric: Metric;
  zoom: (change: Record<string, string>) => void;
}

/** The cells with their labels, a cursor, and what the cursor is on in words. */
export function MapBody({ cells, metric, zoom }: MapBodyProps) {
  const { source } = useApp();
  const { map } = cells;
  const [cursor, setCursor] = useState<Cursor | null>(null);
  const layout = useMemo(() => layoutOf(map.rows), [map]);
  const actions = useActions(map, zoom);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another map has other cells.
  useEffect(() => setCursor(null), [map]);

  const onKey = (event: KeyboardEvent) => {
    const at = cursor ?? { row: 0, column: 0 };
    const next = moved(at, event.key, cells);
    if (next) setCursor(next);
    else if (event.key === "Enter") actions.open(at);
    else if (event.key === "Escape") zoom({ rows: "", steps: "" });
    else if (event.key === "+") actions.zoomSteps(...around(at.column, cells.columns));
    else return;
    event.preventDefault();
  };
  return (
    <>
      <p class="map-readout" role="status">
        {cursor ? cellText(cells, cursor, metric) : source.live ? HINT : HINT_STATIC}
      </p>
      <div class="map">
        <MapLabels map={map} layout={layout} />
        <MapField {...{ cells, layout, metric, cursor, onKey, point: setCursor, ...actions }} />
      </div>
    </>
  );
}

/** What a click, a drag or a key does to the cell or the steps it is on; a report can only open pages it has. */
function useActions(map: HealthMap, zoom: MapBodyProps["zoom"]) {
  const { go, source } = useApp();
  return {
    open({ row, column }: Cursor) {
      const shown = map.rows[row];
      if (shown?.op) go(opState(shown.op, map.columns[column]?.[1] ?? null));
      else if (shown && source.live) zoom({ rows: `${shown.first}-${shown.last}` });
    },
    zoomSteps(from: number, to: number) {
      const [start, end] = [map.columns[from], map.columns[to]];
      if (source.live && start && end) zoom({ steps: `${start[0]}-${end[1] + 1}` });
    },
  };
}

interface MapFieldProps {
  cells: MapCells;
  layout: MapLayout;
  metric: Metric;
  cursor: Cursor | null;
  onKey: (event: KeyboardEvent) => void;
  point: (at: Cursor) => void;
  open: (at: Cursor) => void;
  zoomSteps: (from: number, to: number) => void;
}

function MapField({ onKey, ...canvas }: MapFieldProps) {
  const [ref, width] = useWidth<HTMLDivElement>();
  const { columns } = canvas.cells.map;
  return (
    <div
      ref={ref}
      class="map-field"
      role="application"
      aria-label="Health map cells"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: the role "application" takes keys of its own.
      tabIndex={0}
      onKeyDown={onKey}
    >
      {width > 0 && <MapCanvas {...canvas} width={width} />}
      <p class="map-steps muted">
        <span>step {columns[0]?.[0]}</span>
        <span>step {columns.at(-1)?.[1]}</span>
      </p>
    </div>
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

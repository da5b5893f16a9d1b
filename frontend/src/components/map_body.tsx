import { useLayoutEffect, useMemo, useState } from "preact/hooks";
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
  shortName,
} from "../model/health_map";
import { box } from "./box";
import { Icon, SEVERITY_NAME } from "./icons";
import { opState } from "./link";
import { MapCanvas } from "./map_canvas";
import { StepAxis } from "./step_axis";
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
  const [axis, width] = useWidth<HTMLDivElement>();
  const [cursor, setCursor] = useState<Cursor | null>(null);
  const layout = useMemo(() => layoutOf(map.rows), [map]);
  const actions = useActions(map, zoom);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another map has other cells; a key pressed as soon as it is drawn must not be forgotten.
  useLayoutEffect(() => setCursor(null), [map]);

  const onKey = (event: KeyboardEvent) => {
    const at = cursor ?? { row: 0, column: 0 };
    const next = moved(at, event.key, cells);
    if (next) setCursor(next);
    else if (event.key === "Enter") actions.open(at);
    else if (event.key === "Escape") zoom({ rows: "", steps: "" });
    else if (event.key === "+") actions.zoomSteps?.(...around(at.column, cells.columns));
    else return;
    event.preventDefault();
  };
  return (
    <>
      <div class="map map-head">
        <p class="map-readout" role="status">
          {cursor ? cellText(cells, cursor, metric) : source.live ? HINT : HINT_STATIC}
        </p>
        <span class="map-axis-name muted">Step</span>
        <div ref={axis}>
          {width > 0 && <StepAxis steps={map.columns.map(([first]) => first)} width={width} />}
        </div>
      </div>
      <div class="map">
        <MapLabels map={map} layout={layout} />
        <div
          role="application"
          aria-label="Health map cells"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: the role "application" takes keys of its own.
          tabIndex={0}
          onKeyDown={onKey}
        >
          {width > 0 && (
            <MapCanvas {...{ cells, layout, metric, width, cursor, point: setCursor, ...actions }} />
          )}
        </div>
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
    zoomSteps: source.live
      ? (from: number, to: number) => {
          const [start, end] = [map.columns[from], map.columns[to]];
          if (start && end) zoom({ steps: `${start[0]}-${end[1] + 1}` });
        }
      : null,
  };
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
          {row.severity && <Icon shape={row.severity} size={12} label={SEVERITY_NAME[row.severity]} />}
          <span class="map-type">
            {row.op ? row.op.op_type : row.group}
            {row.groups > 1 && " …"}
          </span>{" "}
          {shortName(row) && (
            <span class="ends muted">
              <bdi>{shortName(row)}</bdi>
            </span>
          )}
          {row.op?.role === "gradient" && <span class="muted"> (gradient)</span>}
        </li>
      ))}
    </ol>
  );
}

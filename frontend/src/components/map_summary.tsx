import { useMemo } from "preact/hooks";
import { plural, stepRange } from "../model/format";
import {
  CALM,
  firstNonFinite,
  leastHeadroom,
  type MapCells,
  type Metric,
  rowName,
} from "../model/health_map";
import { OpLink } from "./link";

const LIMIT: Record<Metric, string> = { over: "overflow", under: "underflow" };

/** What the map says in two sentences: where anything is wrong first, and the tensor that came closest to the limit. */
export function MapSummary({ cells, metric }: { cells: MapCells; metric: Metric }) {
  const least = useMemo(() => leastHeadroom(cells, metric), [cells, metric]);
  const bad = useMemo(() => firstNonFinite(cells), [cells]);
  return (
    <span>
      {bad !== null ? (
        <>
          <b>NaN or ∞ first at {stepRange(...columnOf(cells, bad.column))}</b>
          {bad.row !== null && (
            <>
              , in <RowLink cells={cells} row={bad.row} column={bad.column} />
            </>
          )}
          .{" "}
        </>
      ) : (
        least !== null && least.bits >= CALM && <b>Nothing comes near {LIMIT[metric]}. </b>
      )}
      {least !== null && (
        <>
          Least headroom: {plural(least.bits, "bit")} at {stepRange(...columnOf(cells, least.column))}, in{" "}
          <RowLink cells={cells} {...least} />
        </>
      )}
    </span>
  );
}

function RowLink({ cells, row, column }: { cells: MapCells; row: number; column: number }) {
  const shown = cells.map.rows[row];
  if (shown === undefined) return null;
  return shown.op ? (
    <OpLink op={shown.op} step={columnOf(cells, column)[1]} />
  ) : (
    <span>{rowName(shown)}</span>
  );
}

function columnOf({ map }: MapCells, column: number): [first: number, last: number] {
  return map.columns[column] ?? [0, 0];
}

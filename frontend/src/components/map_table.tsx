import type { MapCells, Metric } from "../model/health_map";
import { rowName } from "../model/health_map";
import { markNames } from "../model/marks";
import { Link, opState } from "./link";

/** The map's text twin: each row's least headroom and all that happened in it. */
export function MapTable({ cells, metric }: { cells: MapCells; metric: Metric }) {
  return (
    <details class="numbers">
      <summary>The map as a table</summary>
      <div class="scroll">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Row</th>
              <th scope="col">Group</th>
              <th scope="col" class="number">
                Least headroom, bits
              </th>
              <th scope="col">Events</th>
            </tr>
          </thead>
          <tbody>
            {cells.map.rows.map((row, i) => {
              const { bits, marks } = cells.worst(i, metric);
              return (
                <tr key={row.first}>
                  <th scope="row">
                    {row.op ? <Link to={opState(row.op, null)}>{rowName(row)}</Link> : rowName(row)}
                  </th>
                  <td>{row.group}</td>
                  <td class="number">{bits ?? "–"}</td>
                  <td>{markNames(marks) || "none"}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </details>
  );
}

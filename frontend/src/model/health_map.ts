/** The health map's cells: what they say, how they are coloured, how a cursor moves over them. */

import { type HealthMap, MARK, type MapRow } from "./api";
import { unpack } from "./bytes";
import { place, plural, stepRange } from "./format";
import { markNames } from "./marks";

export type Metric = "over" | "under";

/** Least bits of each level of headroom, from the most alarming to the calm one. */
export const LEVELS = [0, 2, 4, 8, 16, 64, 128] as const;

/** Bits from which on nobody needs to worry. */
export const CALM = 16;

export interface Cell {
  /** Null where nothing finite was measured. */
  bits: number | null;
  marks: number;
}

/** The answer with its cells unpacked. */
export class MapCells {
  readonly rows: number;
  readonly columns: number;
  private readonly bits: Record<Metric, Uint8Array>;
  private readonly marks: Uint8Array;

  constructor(readonly map: HealthMap) {
    this.rows = map.rows.length;
    this.columns = map.columns.length;
    this.bits = { over: unpack(map.over), under: unpack(map.under) };
    this.marks = unpack(map.marks);
  }

  cell(row: number, column: number, metric: Metric): Cell {
    const at = row * this.columns + column;
    const packed = this.bits[metric][at] ?? 0;
    return { bits: packed === 0 ? null : packed - 1, marks: this.marks[at] ?? 0 };
  }

  /** The least headroom of a row and all that happened in it. */
  worst(row: number, metric: Metric): Cell {
    const out: Cell = { bits: null, marks: 0 };
    for (let column = 0; column < this.columns; column++) {
      const { bits, marks } = this.cell(row, column, metric);
      if (bits !== null && (out.bits === null || bits < out.bits)) out.bits = bits;
      out.marks |= marks;
    }
    return out;
  }
}

/** The cell with the least headroom of finite values; null where nothing finite was measured. */
export function leastHeadroom(cells: MapCells, metric: Metric): (Cursor & { bits: number }) | null {
  let least: (Cursor & { bits: number }) | null = null;
  for (let row = 0; row < cells.rows; row++) {
    for (let column = 0; column < cells.columns; column++) {
      const { bits } = cells.cell(row, column, metric);
      if (bits !== null && (least === null || bits < least.bits)) least = { row, column, bits };
    }
  }
  return least;
}

/** Where NaN or infinities show first. */
export interface FirstNonFinite {
  column: number;
  /** The row in which an error has been found there; null where the map alone cannot tell. */
  row: number | null;
}

/** The first column with a NaN or infinity; null where all is finite. */
export function firstNonFinite(cells: MapCells): FirstNonFinite | null {
  for (let column = 0; column < cells.columns; column++) {
    const bad = cells.map.rows.flatMap(({ severity }, row) =>
      cells.cell(row, column, "over").marks & (MARK.NAN | MARK.INF) ? [{ row, severity }] : [],
    );
    if (bad.length > 0) return { column, row: bad.find((at) => at.severity === "error")?.row ?? null };
  }
  return null;
}

/** Where rows lie, in pixels: tensors stand below a line that names their group. */
export interface MapLayout {
  heads: { top: number; name: string }[];
  tops: number[];
  height: number;
}

export const ROW_HEIGHT = 18;
const HEAD_HEIGHT = 24;

export function layoutOf(rows: readonly MapRow[]): MapLayout {
  const layout: MapLayout = { heads: [], tops: [], height: 0 };
  rows.forEach((row, i) => {
    if (row.op && row.group !== rows[i - 1]?.group) {
      layout.heads.push({ top: layout.height, name: row.group });
      layout.height += HEAD_HEIGHT;
    }
    layout.tops.push(layout.height);
    layout.height += ROW_HEIGHT;
  });
  return layout;
}

/** The row at a height; at a group's name, the group's first. */
export function rowAt(layout: MapLayout, y: number): number {
  const row = layout.tops.findIndex((top) => y < top + ROW_HEIGHT);
  return row < 0 ? layout.tops.length - 1 : row;
}

/** Index into LEVELS; null where there is nothing to colour. Infinity leaves no headroom. */
export function levelOf({ bits, marks }: Cell, metric: Metric): number | null {
  if (metric === "over" && marks & MARK.INF) return 0;
  if (bits === null) return null;
  return LEVELS.findLastIndex((least) => bits >= least);
}

export function levelName(level: number): string {
  const next = LEVELS[level + 1];
  return next === undefined ? `${LEVELS[level]} bits and more` : `${LEVELS[level]}–${next - 1} bits`;
}

const LIMIT_NAME: Record<Metric, string> = { over: "below overflow", under: "above underflow" };

/** A row in one line: an op, a group, or a range of groups. */
export function rowName(row: MapRow): string {
  if (row.op) return row.op.name === row.op.op_type ? row.op.name : `${row.op.op_type} ${row.op.name}`;
  const tensors = plural(row.last - row.first, "tensor");
  if (row.groups === 1) return `${row.group} (${tensors})`;
  return `${row.group} … ${row.last_group} (${plural(row.groups, "group")}, ${tensors})`;
}

/** What tells an op apart within its group, "kernel" in "sequential/dense"; "" where its type does. */
export function shortName({ op, group }: MapRow): string {
  if (op === null) return "";
  const name = op.variable || op.name;
  const short = name.startsWith(`${group}/`) ? name.slice(group.length + 1) : (name.split("/").pop() ?? name);
  return short === op.op_type ? "" : short;
}

export interface Cursor {
  row: number;
  column: number;
}

/** A cell in words, for the readout and for screen readers. */
export function cellText(cells: MapCells, { row, column }: Cursor, metric: Metric): string {
  const { map } = cells;
  const cell = cells.cell(row, column, metric);
  const [first, last] = map.columns[column] ?? [0, 0];
  const parts = [
    cell.bits === null ? "no finite value" : `${plural(cell.bits, "bit")} ${LIMIT_NAME[metric]}`,
  ];
  if (!(cell.marks & MARK.MEASURED)) parts[0] = "not measured";
  const happened = markNames(cell.marks);
  if (happened) parts.push(happened);
  const shown = map.rows[row];
  const where = shown?.op?.source ? ` at ${place(shown.op.source)}` : "";
  return `${shown ? rowName(shown) : ""}${where}, ${stepRange(first, last)}: ${parts.join("; ")}`;
}

/** A half-open range as a link carries it, "120-180"; null for anything else. */
export function parseRange(text: string | undefined): [number, number] | null {
  const match = /^(-?\d{1,15})-(-?\d{1,15})$/.exec(text ?? "");
  if (!match) return null;
  const range: [number, number] = [Number(match[1]), Number(match[2])];
  return range[0] < range[1] ? range : null;
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

/** Where a key moves the cursor to; null for keys that do not. */
export function moved(at: Cursor, key: string, size: { rows: number; columns: number }): Cursor | null {
  const move = MOVES[key];
  if (move === undefined) return null;
  return {
    row: Math.min(Math.max(at.row + move[0], 0), size.rows - 1),
    column: Math.min(Math.max(at.column + move[1], 0), size.columns - 1),
  };
}

/** Half of the columns, with the given one in the middle where that is possible. */
export function around(column: number, columns: number): [from: number, to: number] {
  const span = Math.max(1, Math.floor(columns / 2));
  const from = Math.min(Math.max(column - Math.floor(span / 2), 0), columns - span);
  return [from, from + span - 1];
}

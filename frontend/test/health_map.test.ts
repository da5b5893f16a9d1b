import assert from "node:assert/strict";
import { test } from "node:test";
import { type HealthMap, MARK, type MapRow, type OpRef } from "../src/model/api";
import {
  around,
  cellText,
  firstNonFinite,
  LEVELS,
  layoutOf,
  leastHeadroom,
  levelName,
  levelOf,
  MapCells,
  moved,
  parseRange,
  ROW_HEIGHT,
  rowAt,
  shortName,
} from "../src/model/health_map";

const pack = (...bytes: number[]) => btoa(String.fromCharCode(...bytes));

function row(first: number, group: string, name: string | null): MapRow {
  const op = name === null ? null : ({ op_type: "Log", name } as OpRef);
  return { first, last: first + (op ? 1 : 10), group, groups: 1, last_group: group, op, severity: null };
}

const MAP: HealthMap = {
  run: "r",
  session: "s",
  total_rows: 2,
  rows_shown: [0, 2],
  rows: [row(0, "loss", "a"), row(1, "dense", "b")],
  columns: [
    [0, 0],
    [1, 9],
  ],
  over: pack(17, 1, 0, 5),
  under: pack(1, 2, 3, 4),
  marks: pack(MARK.MEASURED, MARK.MEASURED | MARK.INF, 0, MARK.MEASURED | MARK.NAN | MARK.OVERFLOW),
};

test("cells come out as they were packed", () => {
  const cells = new MapCells(MAP);
  assert.deepEqual(cells.cell(0, 0, "over"), { bits: 16, marks: MARK.MEASURED });
  assert.deepEqual(cells.cell(1, 0, "over"), { bits: null, marks: 0 });
  assert.equal(cells.cell(1, 1, "under").bits, 3);
  assert.deepEqual(cells.worst(0, "over"), { bits: 0, marks: MARK.MEASURED | MARK.INF });
});

test("less headroom never looks calmer", () => {
  let last = -1;
  for (let bits = 0; bits < 140; bits++) {
    const level = levelOf({ bits, marks: MARK.MEASURED }, "over") ?? -1;
    assert.ok(level >= last && level < LEVELS.length);
    last = level;
  }
  assert.equal(levelOf({ bits: 30, marks: MARK.INF }, "over"), 0);
  assert.equal(levelOf({ bits: 130, marks: MARK.INF }, "under"), LEVELS.length - 1);
  assert.equal(levelOf({ bits: null, marks: MARK.MEASURED }, "over"), null);
  assert.deepEqual([levelName(0), levelName(LEVELS.length - 1)], ["0–1 bits", "128 bits and more"]);
});

test("the map's summary knows the least headroom and the first NaN or infinity", () => {
  const cells = new MapCells(MAP);
  assert.deepEqual(leastHeadroom(cells, "over"), { row: 0, column: 1, bits: 0 });
  assert.deepEqual(leastHeadroom(cells, "under"), { row: 0, column: 0, bits: 0 });
  assert.deepEqual(firstNonFinite(cells), { column: 1, row: null });
  const found = MAP.rows.map((row, i): MapRow => (i === 1 ? { ...row, severity: "error" } : row));
  assert.deepEqual(firstNonFinite(new MapCells({ ...MAP, rows: found })), { column: 1, row: 1 });
  const empty = new MapCells({ ...MAP, over: pack(0, 0, 0, 0), marks: pack(0, 0, 0, 0) });
  assert.equal(leastHeadroom(empty, "over"), null);
  assert.equal(firstNonFinite(empty), null);
});

test("the readout names the line of an op", () => {
  const source = { file: "project/train.py", line: 38, function: "f", text: "" };
  const log = { op_type: "Log", name: "Log", source } as OpRef;
  const cells = new MapCells({ ...MAP, rows: [{ ...row(0, "loss", "a"), op: log }, row(1, "dense", "b")] });
  assert.match(cellText(cells, { row: 0, column: 0 }, "over"), /^Log at train.py:38, step 0: 16 bits/);
});

test("the readout says what a cell holds", () => {
  const cells = new MapCells(MAP);
  const text = (r: number, c: number) => cellText(cells, { row: r, column: c }, "over");
  assert.equal(text(0, 1), "Log a, steps 1–9: 0 bits below overflow; ∞");
  assert.equal(text(1, 0), "Log b, step 0: not measured");
  assert.equal(text(1, 1), "Log b, steps 1–9: 4 bits below overflow; NaN, overflow");
});

test("tensors stand below their group's name, whole groups do not", () => {
  const layout = layoutOf([row(0, "a", "x"), row(1, "a", "y"), row(2, "b", "z")]);
  assert.deepEqual(
    layout.heads.map((head) => head.name),
    ["a", "b"],
  );
  assert.equal(layout.height, 3 * ROW_HEIGHT + 2 * (layout.tops[0] ?? 0));
  layout.tops.forEach((top, i) => {
    assert.equal(rowAt(layout, top), i);
    assert.equal(rowAt(layout, top + ROW_HEIGHT - 1), i);
  });
  assert.equal(rowAt(layout, layout.height + 99), 2);
  assert.equal(layoutOf([row(0, "a", null), row(10, "b", null)]).heads.length, 0);
});

test("ranges in links", () => {
  assert.deepEqual(parseRange("3-9"), [3, 9]);
  for (const bad of [undefined, "", "9-3", "3-3", "a-b", "1-2-3", "1.5-2"])
    assert.equal(parseRange(bad), null);
});

test("the cursor stays on the map", () => {
  const size = { rows: 4, columns: 3 };
  const at = { row: 1, column: 1 };
  assert.deepEqual(moved(at, "ArrowUp", size), { row: 0, column: 1 });
  assert.deepEqual(moved(at, "PageDown", size), { row: 3, column: 1 });
  assert.deepEqual(moved(at, "End", size), { row: 1, column: 2 });
  assert.deepEqual(moved(at, "Home", size), { row: 1, column: 0 });
  assert.equal(moved(at, "Enter", size), null);
});

test("zooming halves the columns around the cursor", () => {
  assert.deepEqual(around(50, 100), [25, 74]);
  assert.deepEqual(around(0, 100), [0, 49]);
  assert.deepEqual(around(99, 100), [50, 99]);
  assert.deepEqual(around(0, 1), [0, 0]);
});

test("a label says what its group does not", () => {
  const named = (name: string, variable = "") =>
    shortName({ ...row(0, "sequential/dense", "x"), op: { op_type: "Log", name, variable } as OpRef });
  assert.equal(named("read", "sequential/dense/kernel"), "kernel");
  assert.equal(named("gradient_tape/loss/mul"), "mul");
  assert.equal(named("gradient_tape/loss/Log"), "");
  assert.equal(shortName(row(0, "sequential/dense", null)), "");
});

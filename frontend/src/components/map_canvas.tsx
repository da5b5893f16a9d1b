import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { onThemeChange } from "../host/theme";
import { MARK } from "../model/api";
import {
  type Cursor,
  LEVELS,
  levelOf,
  type MapCells,
  type MapLayout,
  type Metric,
  ROW_HEIGHT,
  rowAt,
} from "../model/health_map";
import { box } from "./box";

interface MapCanvasProps {
  cells: MapCells;
  layout: MapLayout;
  metric: Metric;
  width: number;
  cursor: Cursor | null;
  point: (at: Cursor) => void;
  open: (at: Cursor) => void;
  /** Null where steps cannot be zoomed into. */
  zoomSteps: ((from: number, to: number) => void) | null;
}

/** The cells. A click opens one, a drag along the steps zooms into them. */
export function MapCanvas({ cells, layout, metric, width, cursor, point, open, zoomSteps }: MapCanvasProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [dragStart, setDragStart] = useState<number | null>(null);
  const { height } = layout;
  const cellWidth = width / cells.columns;

  useLayoutEffect(() => {
    const draw = () => canvas.current && paint(canvas.current, cells, layout, metric, width);
    draw();
    return onThemeChange(document.documentElement, draw);
  }, [cells, layout, metric, width]);

  const at = (event: PointerEvent): Cursor => ({
    row: rowAt(layout, event.offsetY),
    column: Math.min(Math.max(Math.floor((event.offsetX / width) * cells.columns), 0), cells.columns - 1),
  });
  const release = (event: PointerEvent) => {
    const end = at(event);
    setDragStart(null);
    if (dragStart === null) return;
    if (Math.abs(end.column - dragStart) * cellWidth < 8) open(end);
    else zoomSteps?.(Math.min(dragStart, end.column), Math.max(dragStart, end.column));
  };
  return (
    <div class="map-canvas" style={box({ width, height })}>
      <canvas
        ref={canvas}
        style={box({ width, height })}
        onPointerDown={(event) => event.button === 0 && setDragStart(at(event).column)}
        onPointerMove={(event) => point(at(event))}
        onPointerUp={release}
      />
      {zoomSteps && dragStart !== null && cursor && (
        <div
          class="map-drag"
          style={box({
            left: Math.min(dragStart, cursor.column) * cellWidth,
            width: (Math.abs(cursor.column - dragStart) + 1) * cellWidth,
          })}
        />
      )}
      {cursor && (
        <div
          class="map-cursor"
          style={box({
            left: cursor.column * cellWidth,
            top: layout.tops[cursor.row] ?? 0,
            width: Math.max(cellWidth, 4),
            height: ROW_HEIGHT,
          })}
        />
      )}
    </div>
  );
}

function paint(
  canvas: HTMLCanvasElement,
  cells: MapCells,
  layout: MapLayout,
  metric: Metric,
  width: number,
): void {
  const scale = window.devicePixelRatio || 1;
  canvas.width = width * scale;
  canvas.height = layout.height * scale;
  const context = canvas.getContext("2d");
  if (context === null) return;
  context.scale(scale, scale);
  const style = getComputedStyle(canvas);
  const colors = LEVELS.map((_, level) => style.getPropertyValue(`--level-${level}`));
  const sign = style.getPropertyValue("--surface");
  const empty = sign;
  const cellWidth = width / cells.columns;
  for (let row = 0; row < cells.rows; row++) {
    for (let column = 0; column < cells.columns; column++) {
      const cell = cells.cell(row, column, metric);
      const nan = (cell.marks & MARK.NAN) !== 0;
      const level = nan ? 0 : levelOf(cell, metric);
      // Whole pixels: seams between cells would look like data.
      const x = Math.round(column * cellWidth);
      const y = layout.tops[row] ?? 0;
      context.fillStyle = level === null ? empty : (colors[level] ?? empty);
      context.fillRect(x, y, Math.round((column + 1) * cellWidth) - x, ROW_HEIGHT - 1);
      if (nan) paintHatch(context, x, y, cellWidth, sign);
      else if (cell.marks & MARK.INF) paintDot(context, x, y, cellWidth, sign);
    }
  }
}

/** NaN, told without colour. Lines run on from cell to cell, so they show in narrow cells too. */
function paintHatch(
  context: CanvasRenderingContext2D,
  x: number,
  y: number,
  width: number,
  color: string,
): void {
  context.save();
  context.beginPath();
  context.rect(x, y, width, ROW_HEIGHT - 1);
  context.clip();
  context.strokeStyle = color;
  context.lineWidth = 1.5;
  context.beginPath();
  for (let line = Math.floor((x - ROW_HEIGHT) / 6) * 6; line < x + width; line += 6) {
    context.moveTo(line, y + ROW_HEIGHT);
    context.lineTo(line + ROW_HEIGHT, y);
  }
  context.stroke();
  context.restore();
}

function paintDot(
  context: CanvasRenderingContext2D,
  x: number,
  y: number,
  width: number,
  color: string,
): void {
  context.fillStyle = color;
  context.beginPath();
  context.arc(x + width / 2, y + (ROW_HEIGHT - 1) / 2, Math.min(3, Math.max(1, width / 3)), 0, 2 * Math.PI);
  context.fill();
}

import { useLayoutEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { useApp } from "../context";
import { onThemeChange } from "../host/theme";
import { MARK, type OpPage, type Outlook } from "../model/api";
import { headroomSeries } from "../model/trend";
import { NonFiniteKey } from "./layer_chart";
import { useWidth } from "./use_width";

const HEIGHT = 200;

/** Between two labels of the horizontal axis: there is no half step. */
const WHOLE_STEPS = [...Array(12).keys()].flatMap((power) => [1, 2, 5].map((first) => first * 10 ** power));

/** Bits left above the largest and below the smallest magnitude, step by step; a click shows that step. */
export function Trend({ page }: { page: OpPage }) {
  const { go } = useApp();
  const [ref, width] = useWidth<HTMLDivElement>();
  const target = useRef<HTMLDivElement>(null);
  const format = page.formats[page.op.dtype];

  useLayoutEffect(() => {
    const element = target.current;
    if (width === 0 || element === null || format === undefined) return;
    const draw = () => {
      const choose = (step: number) => go({ step }, "replace");
      return new uPlot(options(element, width, page, choose), headroomSeries(page.trend, format), element);
    };
    let plot = draw();
    const stop = onThemeChange(document.documentElement, () => {
      plot.destroy();
      plot = draw();
    });
    return () => {
      stop();
      plot.destroy();
    };
  }, [page, width, format, go]);

  if (format === undefined) return <p class="muted">{page.op.dtype} is not a floating-point format.</p>;
  return (
    <div ref={ref}>
      <div ref={target} class="trend" role="img" aria-label={summary(page, format.max_exp)} />
      {page.outlook && <p class="forecast">If it goes on like this, it {page.outlook.text}.</p>}
      <ul class="legend">
        <li>
          <svg width={26} height={10} aria-hidden="true">
            <path class="line-over" d="M1 5H25" />
          </svg>{" "}
          bits from the largest magnitude to overflow
        </li>
        <li>
          <svg width={26} height={10} aria-hidden="true">
            <path class="line-under" d="M1 5H25" />
          </svg>{" "}
          bits from the smallest magnitude to subnormal
        </li>
        <li>
          <svg width={26} height={10} aria-hidden="true">
            <path class="line-limit" d="M1 5H25" />
          </svg>{" "}
          nothing left
        </li>
        {badSteps(page).length > 0 && <NonFiniteKey />}
      </ul>
    </div>
  );
}

function summary(page: OpPage, top: number): string {
  const last = page.trend.max_exp.findLast((e) => e !== null);
  if (last == null) return "No finite value was measured.";
  return `At the last step with finite values, ${top - last} bits were left before overflow.`;
}

function options(
  element: HTMLElement,
  width: number,
  page: OpPage,
  pick: (step: number) => void,
): uPlot.Options {
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: color("--muted"),
    font: `12px ${style.fontFamily}`,
    grid: { stroke: color("--line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height: HEIGHT,
    padding: [10, 8, 0, 0],
    legend: { show: false },
    scales: {
      x: { time: false, range: (_, min, max) => [min, lastStep(page, min, max)] },
      y: { range: (_, min, max) => [Math.min(0, min), Math.max(8, max) * 1.05] },
    },
    axes: [
      { ...axis, size: 26, incrs: WHOLE_STEPS },
      { ...axis, size: 40 },
    ],
    series: [
      {},
      { stroke: color("--accent"), width: 2, points: { show: false } },
      { stroke: color("--second"), width: 1.5, dash: [5, 4], points: { show: false } },
    ],
    hooks: {
      ready: [(plot) => plot.over.addEventListener("click", () => pickAtCursor(plot, pick))],
      draw: [
        (plot) => page.outlook && drawOutlook(plot, page.outlook, color("--error")),
        (plot) => drawBadSteps(plot, badSteps(page), color("--error")),
        (plot) => drawLimits(plot, page.step, color("--error"), color("--text")),
      ],
    },
  };
}

/** Recorded steps at most, as a multiple, that the axis goes on for where something is foretold. */
const AHEAD = 2;

/** Where the axis ends: at the last record, or where the trend may lead at the latest. */
function lastStep({ outlook }: OpPage, first: number, last: number): number {
  return outlook ? Math.min(outlook.step + outlook.high, last + AHEAD * (last - first)) : last;
}

function pickAtCursor(plot: uPlot, pick: (step: number) => void): void {
  const step = plot.data[0][plot.cursor.idx ?? -1];
  if (step !== undefined) pick(step);
}

/** From the last record down to no headroom: soonest, likeliest and latest. */
function drawOutlook(plot: uPlot, outlook: Outlook, color: string): void {
  const { ctx, bbox } = plot;
  const x = (step: number) => plot.valToPos(step, "x", true);
  const zero = plot.valToPos(0, "y", true);
  const start: [number, number] = [x(outlook.step), plot.valToPos(outlook.bits, "y", true)];
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.fillStyle = color;
  ctx.globalAlpha = 0.15;
  ctx.beginPath();
  ctx.moveTo(...start);
  ctx.lineTo(x(outlook.step + outlook.low), zero);
  ctx.lineTo(x(outlook.step + outlook.high), zero);
  ctx.fill();
  ctx.globalAlpha = 1;
  ctx.strokeStyle = color;
  ctx.lineWidth = devicePixelRatio * 1.5;
  ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(...start);
  ctx.lineTo(x(outlook.step + outlook.steps), zero);
  ctx.stroke();
  ctx.restore();
}

/** The steps at which the result was NaN or infinite, which headroom, of finite values, cannot tell. */
function badSteps({ trend }: OpPage): number[] {
  return trend.steps.filter((_, i) => (trend.marks[i] ?? 0) & (MARK.NAN | MARK.INF));
}

/** A mark at the top edge for each. */
function drawBadSteps(plot: uPlot, steps: number[], color: string): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = color;
  ctx.lineWidth = devicePixelRatio * 2;
  ctx.beginPath();
  for (const step of steps) {
    const x = plot.valToPos(step, "x", true);
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + 8 * devicePixelRatio);
  }
  ctx.stroke();
  ctx.restore();
}

/** The line no headroom is left below, and the step the page shows. */
function drawLimits(plot: uPlot, step: number, limit: string, marker: string): void {
  const { ctx, bbox } = plot;
  const zero = plot.valToPos(0, "y", true);
  const x = plot.valToPos(step, "x", true);
  ctx.save();
  ctx.setLineDash([]);
  ctx.lineWidth = devicePixelRatio * 1.5;
  ctx.strokeStyle = limit;
  ctx.beginPath();
  ctx.moveTo(bbox.left, zero);
  ctx.lineTo(bbox.left + bbox.width, zero);
  ctx.stroke();
  ctx.strokeStyle = marker;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}

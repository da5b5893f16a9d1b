import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { useApp } from "../context";
import { onThemeChange } from "../host/theme";
import type { OpPage } from "../model/api";
import { headroomSeries } from "../model/trend";
import { useWidth } from "./use_width";

const HEIGHT = 220;

/** Bits left above the largest and below the smallest magnitude, step by step; a click shows that step. */
export function Trend({ page }: { page: OpPage }) {
  const { go } = useApp();
  const [ref, width] = useWidth<HTMLDivElement>();
  const target = useRef<HTMLDivElement>(null);
  const format = page.formats[page.op.dtype];

  useEffect(() => {
    if (width === 0 || target.current === null || format === undefined) return;
    let plot = draw(target.current);
    function draw(element: HTMLDivElement) {
      const series = headroomSeries(page.trend, page.formats[page.op.dtype]);
      return new uPlot(
        options(element, width, (step) => go({ step }, "replace")),
        series,
        element,
      );
    }
    const stop = onThemeChange(document.documentElement, () => {
      plot.destroy();
      if (target.current) plot = draw(target.current);
    });
    return () => {
      stop();
      plot.destroy();
    };
  }, [page, width, format, go]);

  if (format === undefined) return <p class="muted">{page.op.dtype} is not a floating-point format.</p>;
  return (
    <div ref={ref}>
      <div ref={target} class="trend" role="img" aria-label={trendSummary(page)} />
    </div>
  );
}

function trendSummary(page: OpPage): string {
  const last = page.trend.max_exp.findLast((e) => e !== null);
  const format = page.formats[page.op.dtype];
  if (last == null || format === undefined) return "No finite value was measured.";
  return `At the last step with finite values, ${format.max_exp - last} bits were left before overflow.`;
}

function options(element: HTMLElement, width: number, pick: (step: number) => void): uPlot.Options {
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: color("--muted"),
    grid: { stroke: color("--line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height: HEIGHT,
    legend: { live: true },
    scales: { x: { time: false }, y: { range: (_, min, max) => [Math.min(0, min), Math.max(8, max)] } },
    axes: [
      { ...axis, label: "step", labelSize: 20 },
      { ...axis, label: "bits", labelSize: 18, size: 42 },
    ],
    series: [
      { label: "step" },
      { label: "to overflow", stroke: color("--accent"), width: 2, points: { show: false } },
      { label: "to underflow", stroke: color("--second"), width: 1.5, dash: [5, 4], points: { show: false } },
    ],
    hooks: {
      init: [
        (plot) =>
          plot.over.addEventListener("click", () => {
            const step = plot.data[0][plot.cursor.idx ?? -1];
            if (step !== undefined) pick(step);
          }),
      ],
    },
  };
}

import { useLayoutEffect, useRef } from "preact/hooks";
import { useApp } from "../context";
import { onThemeChange } from "../host/theme";
import type { HistogramOverSteps, OpPage } from "../model/api";
import { unpack } from "../model/bytes";
import { power } from "../model/format";
import { box } from "./box";
import { StepAxis } from "./step_axis";
import { useWidth } from "./use_width";

const HEIGHT = 200;
const LABELS = 52;

/** Exponent histograms side by side, one column a step; a click shows that step. */
export function Heat({ page }: { page: OpPage }) {
  const { go } = useApp();
  const [ref, width] = useWidth<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const histogram = page.histogram;
  const field = Math.max(0, width - LABELS);

  useLayoutEffect(() => {
    if (histogram === null || field === 0) return;
    const draw = () => canvas.current && paint(canvas.current, histogram, field);
    draw();
    return onThemeChange(document.documentElement, draw);
  }, [histogram, field]);

  if (histogram === null || histogram.bins === 0)
    return <p class="muted">No finite non-zero value was measured.</p>;
  const pick = (event: MouseEvent) => {
    const step = histogram.steps[Math.floor((event.offsetX / field) * histogram.steps.length)];
    if (step !== undefined) go({ step }, "replace");
  };
  const column = histogram.steps.indexOf(page.step);
  const top = histogram.first_exp + histogram.bins * histogram.bin_width - 1;
  return (
    <div ref={ref} class="heat">
      <div class="heat-axis muted" aria-hidden="true">
        <span>{power(top)}</span>
        <span>{power(histogram.first_exp)}</span>
      </div>
      <div class="heat-field" style={box({ width: field })}>
        <canvas
          ref={canvas}
          style={box({ width: field, height: HEIGHT })}
          role="img"
          aria-label={`Magnitudes at ${histogram.steps.length} steps, from ${power(histogram.first_exp)} to ${power(top)}`}
          onClick={pick}
        />
        {column >= 0 && (
          <i
            class="heat-step"
            style={box({
              left: (column / histogram.steps.length) * field,
              width: Math.max(2, field / histogram.steps.length),
            })}
          />
        )}
        <StepAxis steps={histogram.steps} width={field} />
        <p class="legend">The stronger the colour, the more of the elements. A click shows that step.</p>
      </div>
    </div>
  );
}

function paint(canvas: HTMLCanvasElement, histogram: HistogramOverSteps, width: number): void {
  const scale = window.devicePixelRatio || 1;
  canvas.width = width * scale;
  canvas.height = HEIGHT * scale;
  const context = canvas.getContext("2d");
  if (context === null) return;
  context.scale(scale, scale);
  context.fillStyle = getComputedStyle(canvas).getPropertyValue("--share-result");
  const shares = unpack(histogram.shares);
  const [columns, bins] = [histogram.steps.length, histogram.bins];
  const cell = { width: width / columns, height: HEIGHT / bins };
  for (let column = 0; column < columns; column++) {
    for (let bin = 0; bin < bins; bin++) {
      const share = shares[column * bins + bin] ?? 0;
      if (share === 0) continue;
      // Rare magnitudes are often the ones that matter: the floor keeps them visible.
      context.globalAlpha = 0.15 + 0.85 * Math.sqrt(share / 255);
      context.fillRect(
        column * cell.width,
        HEIGHT - (bin + 1) * cell.height,
        cell.width > 4 ? cell.width - 0.5 : cell.width + 0.3,
        cell.height > 4 ? cell.height - 0.5 : cell.height,
      );
    }
  }
}

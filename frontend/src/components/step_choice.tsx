import { useApp } from "../context";
import type { OpPage } from "../model/api";

/** Walks through the measured steps. */
export function StepChoice({ page }: { page: OpPage }) {
  const { go, source } = useApp();
  const steps = page.trend.steps;
  const at = nearest(steps, page.step);
  const move = (index: number) => {
    const step = steps[index];
    if (step !== undefined) go({ step }, "replace");
  };
  if (!source.live || steps.length < 2) return <p class="step-choice">Step {page.step}</p>;
  return (
    <div class="step-choice">
      {page.asked_step !== page.step && (
        <span class="remark-inline">
          Step {page.asked_step} was not recorded; this is the nearest before it.
        </span>
      )}
      <button
        type="button"
        class="button"
        aria-label="Previous step"
        disabled={at <= 0}
        onClick={() => move(at - 1)}
      >
        ‹
      </button>
      <label>
        Step {page.step}
        <input
          type="range"
          min={0}
          max={steps.length - 1}
          value={at}
          aria-valuetext={`step ${page.step}`}
          onInput={(e) => move(Number(e.currentTarget.value))}
        />
      </label>
      <button
        type="button"
        class="button"
        aria-label="Next step"
        disabled={at >= steps.length - 1}
        onClick={() => move(at + 1)}
      >
        ›
      </button>
    </div>
  );
}

/** Index of the last step at or before the one asked for. */
function nearest(steps: number[], step: number): number {
  return Math.max(
    0,
    steps.findLastIndex((s) => s <= step),
  );
}

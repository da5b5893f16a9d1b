import { useApp } from "../context";

interface StepChoiceProps {
  /** The step shown; another than the one asked for where that was not recorded. */
  step: number;
  asked: number;
  /** The steps to walk through. */
  steps: number[];
  /** Where the page holds no other step. */
  fixed?: boolean;
}

/** Walks through the measured steps. */
export function StepChoice({ step, asked, steps, fixed = false }: StepChoiceProps) {
  const { go } = useApp();
  const at = nearest(steps, step);
  const move = (index: number) => {
    const chosen = steps[index];
    if (chosen !== undefined) go({ step: chosen }, "replace");
  };
  if (fixed || steps.length < 2) return <p class="step-choice">Step {step}</p>;
  return (
    <div class="step-choice">
      {asked !== step && (
        <span class="remark-inline">Step {asked} was not recorded; this is the nearest before it.</span>
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
        Step {step}
        <input
          type="range"
          min={0}
          max={steps.length - 1}
          value={at}
          aria-valuetext={`step ${step}`}
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

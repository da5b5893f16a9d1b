import { labelled } from "../model/step_axis";
import { box } from "./box";

/** Half of a digit's width: a label's middle comes no closer to an end than half of its own. */
const HALF_DIGIT = 4;

/** The steps that columns of equal width stand for, as far as there is room to tell them. */
export function StepAxis({ steps, width }: { steps: readonly number[]; width: number }) {
  const column = width / steps.length;
  const inside = (x: number, label: string) => {
    const half = HALF_DIGIT * label.length;
    return Math.min(Math.max(x, half), width - half);
  };
  return (
    <ol class="step-axis" style={box({ width })} aria-label="Steps">
      {labelled(steps.length, width).map((i) => (
        <li key={i} style={box({ left: inside((i + 0.5) * column, String(steps[i])) })}>
          {steps[i]}
        </li>
      ))}
    </ol>
  );
}

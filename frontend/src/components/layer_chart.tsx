import { useApp } from "../context";
import type { KindName, LayerKind } from "../model/api";
import { power } from "../model/format";
import { curve } from "../model/layers";
import { type Domain, everyTick } from "../model/ruler";
import { StepAxis } from "./step_axis";
import { useWidth } from "./use_width";

const HEIGHT = 130;
/** Room for the labels of the vertical axis. */
const LABELS = 40;
/** Between two labels of the vertical axis. */
const LABEL_HEIGHT = 24;

export interface NamedKind {
  name: KindName;
  kind: LayerKind;
}

interface LayerChartProps {
  kinds: NamedKind[];
  domain: Domain;
  steps: number[];
  /** Index of the step that the page shows. */
  at: number;
}

/** Largest magnitudes of a layer's tensors over the steps; a click shows that step. */
export function LayerChart({ kinds, domain, steps, at }: LayerChartProps) {
  const { go } = useApp();
  const [ref, width] = useWidth<HTMLDivElement>();
  const field = Math.max(0, width - LABELS);
  const column = field / steps.length;
  const y = (exponent: number) => HEIGHT - ((exponent - domain.lo) / (domain.hi - domain.lo)) * HEIGHT;
  const pick = (event: MouseEvent) => {
    const step = steps[Math.floor((event.offsetX - LABELS) / column)];
    if (step !== undefined) go({ step }, "replace");
  };
  return (
    <div ref={ref} class="layer-chart">
      {field > 0 && (
        <>
          {/* The slider above the charts does the same by keyboard. */}
          <svg width={width} height={HEIGHT} aria-hidden="true" onClick={pick}>
            {everyTick(domain, HEIGHT / LABEL_HEIGHT).map((exponent) => (
              <g key={exponent}>
                <path class="grid" d={`M${LABELS} ${y(exponent)}H${width}`} />
                <text x={LABELS - 6} y={y(exponent) + 4} text-anchor="end">
                  {power(exponent)}
                </text>
              </g>
            ))}
            <g transform={`translate(${LABELS} 0)`}>
              <path class="step-marker" d={`M${(at + 0.5) * column} 0V${HEIGHT}`} />
              {kinds.map(({ name, kind }) => (
                <g key={name}>
                  <path class={`curve curve-${name}`} d={curve(kind.max_exp, y, field)} />
                  <path class="bad-tick" d={badTicks(kind.nonfinite, column)} />
                </g>
              ))}
            </g>
          </svg>
          <div style={{ marginLeft: `${LABELS}px` }}>
            <StepAxis steps={steps} width={field} />
          </div>
        </>
      )}
    </div>
  );
}

/** What the mark means, as an item of a legend. */
export function NonFiniteKey() {
  return (
    <li>
      <svg width={8} height={10} aria-hidden="true">
        <path class="bad-tick" d="M4 1V9" />
      </svg>{" "}
      NaN or ∞
    </li>
  );
}

/** A mark at the top edge wherever anything was NaN or infinite. */
function badTicks(nonfinite: readonly boolean[], column: number): string {
  return nonfinite.map((bad, i) => (bad ? `M${(i + 0.5) * column} 0v8` : "")).join("");
}

import type { FloatFormat, Measure } from "../model/api";
import { power } from "../model/format";
import { type Domain, position } from "../model/ruler";

interface RangeBarProps {
  measure: Measure | null;
  format: FloatFormat | undefined;
  domain: Domain;
  width: number;
  height?: number;
}

/** A tensor's range within its format, small enough for a table cell. */
export function RangeBar({ measure, format, domain, width, height = 12 }: RangeBarProps) {
  const at = (exponent: number) => position(exponent, domain, width);
  const low = measure?.min_exp ?? null;
  const high = measure?.max_exp ?? null;
  const bad = measure ? measure.nan + measure.pos_inf + measure.neg_inf > 0 : false;
  const text = low === null || high === null ? "no finite value" : `${power(low)} to ${power(high)}`;
  return (
    <svg
      class="range-bar"
      width={width}
      height={height}
      role="img"
      aria-label={bad ? `${text}, not all finite` : text}
    >
      <rect class="beyond" x={0} y={0} width={width} height={height} rx={2} />
      {format && (
        <rect
          class="normal"
          x={at(format.min_exp)}
          y={0}
          width={at(format.max_exp + 1) - at(format.min_exp)}
          height={height}
        />
      )}
      {low !== null && high !== null && (
        <rect
          class={bad ? "range range-bad" : "range"}
          x={at(low)}
          y={height / 2 - 3}
          width={Math.max(3, at(high + 1) - at(low))}
          height={6}
          rx={2}
        />
      )}
      {bad && <circle class="bad-dot" cx={width - 6} cy={height / 2} r={4} />}
    </svg>
  );
}

import type { FloatFormat, Measure } from "../model/api";
import { power } from "../model/format";
import { type Domain, position } from "../model/ruler";

const HEIGHT = 12;

interface LimitsProps {
  format: FloatFormat;
  at: (exponent: number) => number;
  width: number;
}

/** The format's own span, with a line at each end that lies within the picture. */
function Limits({ format, at, width }: LimitsProps) {
  const [least, normal, end] = [at(format.min_subnormal_exp), at(format.min_exp), at(format.max_exp + 1)];
  const line = (x: number) => (x > 0 && x < width ? `M${x} 0V${HEIGHT}` : "");
  return (
    <>
      <rect class="subnormal" x={least} y={0} width={normal - least} height={HEIGHT} />
      <rect class="normal" x={normal} y={0} width={end - normal} height={HEIGHT} />
      <path class="limit" d={line(normal)} />
      <path class="limit limit-overflow" d={line(end)} />
    </>
  );
}

interface RangeBarProps {
  measure: Measure | null;
  format: FloatFormat | undefined;
  domain: Domain;
  width: number;
}

/** A tensor's range within its format, small enough for a table cell. */
export function RangeBar({ measure, format, domain, width }: RangeBarProps) {
  const at = (exponent: number) => position(exponent, domain, width);
  const low = measure?.min_exp ?? null;
  const high = measure?.max_exp ?? null;
  const bad = measure ? measure.nan + measure.pos_inf + measure.neg_inf > 0 : false;
  const text = low === null || high === null ? "no finite value" : `${power(low)} to ${power(high)}`;
  return (
    <svg
      class="range-bar"
      width={width}
      height={HEIGHT}
      role="img"
      aria-label={bad ? `${text}, not all finite` : text}
    >
      <rect class="beyond" x={0} y={0} width={width} height={HEIGHT} rx={2} />
      {format && <Limits format={format} at={at} width={width} />}
      {low !== null && high !== null && (
        <rect
          class={bad ? "range range-bad" : "range"}
          x={at(low)}
          y={HEIGHT / 2 - 3}
          width={Math.max(3, at(high + 1) - at(low))}
          height={6}
          rx={2}
        />
      )}
      {bad && <circle class="bad-dot" cx={width - 6} cy={HEIGHT / 2} r={4} />}
    </svg>
  );
}

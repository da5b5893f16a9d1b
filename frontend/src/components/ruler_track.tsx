import type { FloatFormat, Measure } from "../model/api";
import { power, share } from "../model/format";
import { bars, type Domain, hatch, position } from "../model/ruler";

const HEIGHT = 40;
const BASE = HEIGHT - 7;
/** Fill height from which the dot of infinities is drawn inside. */
const DOT_FITS = 10;

/** Widths of the fixed cells beside the axis: exact zeros on the left, infinities and NaN on the right. */
export interface Gutters {
  zero: number;
  inf: number;
  nan: number;
}

export function guttersFor(width: number): Gutters {
  return width < 480 ? { zero: 24, inf: 24, nan: 30 } : { zero: 40, inf: 40, nan: 44 };
}

interface TrackProps {
  measure: Measure | null;
  format: FloatFormat | undefined;
  domain: Domain;
  width: number;
  result: boolean;
}

/** One tensor on the axis: what its format can hold, and where its elements lie in it. */
export function RulerTrack({ measure, format, domain, width, result }: TrackProps) {
  const gutters = guttersFor(width);
  const axis = Math.max(0, width - gutters.zero - gutters.inf - gutters.nan);
  const inf = measure ? measure.pos_inf + measure.neg_inf : 0;
  return (
    <svg class={result ? "track track-result" : "track"} width={width} height={HEIGHT} aria-hidden="true">
      <Cell x={0} width={gutters.zero} part={measure?.zero ?? 0} measure={measure} kind="zero" />
      <g transform={`translate(${gutters.zero} 0)`}>
        {format && <FormatBand format={format} domain={domain} width={axis} />}
        {measure && <Elements measure={measure} domain={domain} width={axis} />}
      </g>
      <Cell x={gutters.zero + axis} width={gutters.inf} part={inf} measure={measure} kind="inf" />
      <Cell
        x={gutters.zero + axis + gutters.inf}
        width={gutters.nan}
        part={measure?.nan ?? 0}
        measure={measure}
        kind="nan"
      />
    </svg>
  );
}

/** The format's own span: normal numbers plain, subnormal ones hatched, nothing beyond. */
function FormatBand({ format, domain, width }: { format: FloatFormat; domain: Domain; width: number }) {
  const subnormal = position(format.min_subnormal_exp, domain, width);
  const normal = position(format.min_exp, domain, width);
  const end = position(format.max_exp + 1, domain, width);
  return (
    <>
      <rect class="beyond" x={0} y={0} width={width} height={BASE} />
      <path class="beyond-hatch" d={hatch(0, 0, subnormal, BASE, 4) + hatch(end, 0, width - end, BASE, 4)} />
      <rect class="normal" x={normal} y={0} width={Math.max(0, end - normal)} height={BASE} />
      <rect class="subnormal" x={subnormal} y={0} width={Math.max(0, normal - subnormal)} height={BASE} />
      <path class="subnormal-hatch" d={hatch(subnormal, 0, normal - subnormal, BASE, 7)} />
      <path class="limit" d={`M${normal} 0V${BASE}`} />
      <path class="limit limit-overflow" d={`M${end} 0V${BASE}`} />
    </>
  );
}

function Elements({ measure, domain, width }: { measure: Measure; domain: Domain; width: number }) {
  if (measure.min_exp === null || measure.max_exp === null) return null;
  const left = position(measure.min_exp, domain, width);
  const right = Math.max(position(measure.max_exp + 1, domain, width), left + 3);
  const columns = measure.histogram ? bars(measure, measure.histogram, domain, width) : [];
  return (
    <>
      <title>{`magnitudes from ${power(measure.min_exp)} to ${power(measure.max_exp)}`}</title>
      {columns.map((bar) => (
        <rect
          key={bar.x}
          class="share"
          x={bar.x}
          y={BASE - bar.height * (BASE - 4)}
          width={Math.max(1.5, bar.width - (bar.width > 4 ? 1 : 0))}
          height={bar.height * (BASE - 4)}
        />
      ))}
      <rect class="range" x={left} y={BASE + 1} width={right - left} height={5} rx={2} />
    </>
  );
}

interface CellProps {
  x: number;
  width: number;
  part: number;
  measure: Measure | null;
  kind: "zero" | "inf" | "nan";
}

const CELL_NAME = { zero: "zero", inf: "infinite", nan: "NaN" };

/** Elements that have no place on a log axis: filled by their share; NaN hatched, infinities dotted. */
function Cell({ x, width, part, measure, kind }: CellProps) {
  const whole = measure?.size ?? 0;
  const height = part > 0 && whole > 0 ? Math.max(4, (part / whole) * BASE) : 0;
  const middle = x + width / 2;
  return (
    <g class={`cell cell-${kind}`}>
      <title>
        {part > 0 ? `${part} of ${whole} elements are ${CELL_NAME[kind]} (${share(part, whole)})` : ""}
      </title>
      <rect class="cell-frame" x={x + 2.5} y={0.5} width={width - 5} height={BASE - 1} rx={3} />
      {height > 0 && (
        <>
          <rect class="cell-fill" x={x + 3} y={BASE - height} width={width - 6} height={height} rx={2} />
          {kind === "nan" && <path class="cell-sign" d={hatch(x + 3, BASE - height, width - 6, height, 5)} />}
          {kind === "inf" &&
            (height >= DOT_FITS ? (
              <circle class="cell-dot" cx={middle} cy={BASE - height / 2} r={3} />
            ) : (
              <circle class="cell-dot-above" cx={middle} cy={BASE - height - 6} r={3} />
            ))}
        </>
      )}
    </g>
  );
}

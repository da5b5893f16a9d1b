import { useApp } from "../context";
import type { FloatFormat, Measure, OpPage, OpRef } from "../model/api";
import { count, decimal, plural, power, share } from "../model/format";
import {
  type Domain,
  dataDomain,
  position,
  type RulerRow,
  scaleGap,
  ticks,
  wholeDomain,
} from "../model/ruler";
import { OpLink, OpName } from "./link";
import { guttersFor, RulerTrack } from "./ruler_track";
import { useWidth } from "./use_width";

interface NamedRow extends RulerRow {
  role: string;
  op: OpRef | null;
  outside: boolean;
  result: boolean;
}

/** Operands and result of an op as ranges on one log2 axis, each within the limits of its own format. */
export function Ruler({ page }: { page: OpPage }) {
  const [ref, width] = useWidth<HTMLDivElement>();
  const { zoomed } = useZoom();
  const rows = rulerRows(page);
  const domain = zoomed ? dataDomain(rows) : wholeDomain(rows);
  const operands = rows.filter((row) => !row.result && !row.outside && row.measure?.max_exp != null);
  const pair = operands.length === 2 ? operands : null;
  return (
    <div class="ruler" ref={ref} data-testid="ruler">
      <ol class="ruler-rows">
        {rows.map((row, i) => (
          <li key={`${row.role}${row.op?.key}`}>
            <RowLabel row={row} step={page.step} />
            {width > 0 && row.op && <RulerTrack {...row} domain={domain} width={width} />}
            {width > 0 && pair && row === pair[0] && rows[i + 1] === pair[1] && (
              <Gap a={row} b={pair[1] as NamedRow} domain={domain} width={width} />
            )}
          </li>
        ))}
      </ol>
      {width > 0 && <Axis domain={domain} width={width} format={rows.at(-1)?.format} />}
    </div>
  );
}

/** Whether rulers show the data only; it stands in the link. */
function useZoom() {
  const { state, go } = useApp();
  const zoom = (scale: string) => go({ filters: { ...state.filters, scale } }, "replace");
  return { zoomed: state.filters.scale === "data", zoom };
}

/** The switch between the whole format and the data alone. */
export function RulerZoom() {
  const { zoomed, zoom } = useZoom();
  return (
    <span class="toggles">
      <button type="button" class="toggle" aria-pressed={!zoomed} onClick={() => zoom("")}>
        Whole format
      </button>
      <button type="button" class="toggle" aria-pressed={zoomed} onClick={() => zoom("data")}>
        Zoom to data
      </button>
    </span>
  );
}

function rulerRows(page: OpPage): NamedRow[] {
  const operands = page.inputs.map((input, i) => ({
    role: page.inputs.length === 1 ? "Operand" : `Operand ${i + 1}`,
    op: input.op,
    measure: input.measure,
    format: input.op ? page.formats[input.op.dtype] : undefined,
    outside: input.outside,
    result: false,
  }));
  const { op, measure } = page.result;
  return [
    ...operands,
    { role: "Result", op, measure, format: page.formats[op.dtype], outside: false, result: true },
  ];
}

function RowLabel({ row, step }: { row: NamedRow; step: number }) {
  return (
    <div class="row-label">
      <span class="row-role">{row.role}</span>
      <span class="row-op">
        {row.op === null ? (
          <span class="muted">not measured: a constant, or whole numbers</span>
        ) : row.result ? (
          <OpName op={row.op} />
        ) : (
          <OpLink op={row.op} step={step} />
        )}
      </span>
      {row.op && <span class="row-dtype">{row.op.dtype}</span>}
      {row.outside && <span class="row-dtype">as it comes into the loop</span>}
      <span class="row-range">
        {row.measure ? rangeText(row.measure) : row.op ? "not measured in this step" : ""}
      </span>
    </div>
  );
}

/** "2⁻¹² … 2⁶, 3 zeros, 2 NaN": the row's text twin. */
function rangeText(m: Measure): string {
  const parts: string[] = [];
  if (m.min_exp !== null && m.max_exp !== null) {
    parts.push(m.min_exp === m.max_exp ? power(m.max_exp) : `${power(m.min_exp)} … ${power(m.max_exp)}`);
  }
  const special: [number, string][] = [
    [m.nan, "NaN"],
    [m.pos_inf, "+∞"],
    [m.neg_inf, "−∞"],
    [m.zero, m.zero === 1 ? "zero" : "zeros"],
    [m.subnormal, "subnormal"],
  ];
  for (const [n, name] of special) {
    if (n > 0) parts.push(`${count(n)} ${name} (${share(n, m.size)})`);
  }
  return parts.join(", ") || "empty";
}

interface GapProps {
  a: NamedRow;
  b: NamedRow;
  domain: Domain;
  width: number;
}

/** Operands closer than this share of their format's digits are of one scale: nothing to point at. */
const WIDE = 0.25;

/** A dimension line between the largest magnitudes of the two operands, with its length in bits. */
function Gap({ a, b, domain, width }: GapProps) {
  const bits = scaleGap(a.measure, b.measure);
  const precision = b.format?.precision ?? 0;
  if (!bits || bits < WIDE * precision || a.measure?.max_exp == null || b.measure?.max_exp == null)
    return null;
  const gutters = guttersFor(width);
  const axis = width - gutters.zero - gutters.inf - gutters.nan;
  const at = (exp: number) => gutters.zero + position(exp + 1, domain, axis);
  const ends = [at(a.measure.max_exp), at(b.measure.max_exp)].sort((x, y) => x - y) as [number, number];
  const text = `${plural(bits, "bit")} apart${precision ? ` (${b.format?.name} keeps ${precision})` : ""}`;
  const middle = (ends[0] + ends[1]) / 2;
  const anchor = middle < width * 0.25 ? "start" : middle > width * 0.75 ? "end" : "middle";
  return (
    <svg class="gap" width={width} height={26} role="img" aria-label={`Largest magnitudes: ${text}`}>
      <path class="gap-line" d={`M${ends[0]} 0V10M${ends[1]} 0V10M${ends[0]} 5H${ends[1]}`} />
      <text
        x={anchor === "start" ? ends[0] : anchor === "end" ? ends[1] : middle}
        y={22}
        text-anchor={anchor}
      >
        {text}
      </text>
    </svg>
  );
}

/** Ticks in powers of two with their decimal size, and the names of the fixed cells. */
function Axis({ domain, width, format }: { domain: Domain; width: number; format: FloatFormat | undefined }) {
  const gutters = guttersFor(width);
  const axis = Math.max(0, width - gutters.zero - gutters.inf - gutters.nan);
  const binade = axis / (domain.hi + 1 - domain.lo);
  return (
    <svg class="axis" width={width} height={38} aria-hidden="true">
      <text class="axis-cell" x={gutters.zero / 2} y={14}>
        0
      </text>
      <text class="axis-cell" x={width - gutters.nan - gutters.inf / 2} y={14}>
        ∞
      </text>
      <text class="axis-cell" x={width - gutters.nan / 2} y={14}>
        NaN
      </text>
      {ticks(domain, axis).map((exponent) => {
        const x = gutters.zero + position(exponent, domain, axis) + binade / 2;
        return (
          <g key={exponent}>
            <path class="tick" d={`M${x} 0v4`} />
            <text x={x} y={16}>
              {power(exponent)}
            </text>
            <text class="axis-decimal" x={x} y={31}>
              {decimal(exponent)}
            </text>
          </g>
        );
      })}
      {format && <title>{`Exponents of ${format.name}`}</title>}
    </svg>
  );
}

/** What the shadings mean. */
export function RulerLegend() {
  return (
    <ul class="legend">
      <li>
        <i class="key key-share" /> share of elements per power of two
      </li>
      <li>
        <i class="key key-subnormal" /> subnormal: precision is lost
      </li>
      <li>
        <i class="key key-beyond" /> outside the format: 0 on the left, ∞ on the right
      </li>
    </ul>
  );
}

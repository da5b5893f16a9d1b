import type { Measure, OpPage } from "../model/api";
import { count, power, value } from "../model/format";

const exponent = (e: number | null) => (e === null ? "–" : power(e));
const counted = (n: number | null) => (n === null ? "–" : count(n));

const ROWS: [string, (m: Measure) => string][] = [
  ["Elements", (m) => count(m.size)],
  ["Largest magnitude", (m) => exponent(m.max_exp)],
  ["Smallest magnitude", (m) => exponent(m.min_exp)],
  ["Minimum", (m) => value(m.min)],
  ["Maximum", (m) => value(m.max)],
  ["Root mean square", (m) => value(m.rms)],
  ["NaN", (m) => count(m.nan)],
  ["+∞", (m) => count(m.pos_inf)],
  ["−∞", (m) => count(m.neg_inf)],
  ["Zero", (m) => count(m.zero)],
  ["Subnormal", (m) => count(m.subnormal)],
  ["Negative", (m) => count(m.negative)],
  ["Overflowed here", (m) => counted(m.overflow)],
  ["Underflowed here", (m) => counted(m.underflow)],
  ["Absorbed here", (m) => counted(m.absorbed)],
  ["Bits cancelled here", (m) => counted(m.cancelled)],
  ["Runs in this step", (m) => counted(m.calls)],
];

/** All the numbers behind the ruler: its text twin. */
export function NumbersTable({ page }: { page: OpPage }) {
  const columns = [
    ...page.inputs.map((input, i) => ({ name: `Operand ${i + 1}`, measure: input.measure })),
    { name: "Result", measure: page.result.measure },
  ].filter((column) => column.measure !== null);
  return (
    <details class="numbers">
      <summary>All numbers of step {page.step}</summary>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">
                <span class="offscreen">Quantity</span>
              </th>
              {columns.map(({ name }) => (
                <th scope="col" key={name}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {ROWS.map(([name, text]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                {columns.map((column) => (
                  <td key={column.name}>{column.measure ? text(column.measure) : ""}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

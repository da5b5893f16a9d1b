import { useRef } from "preact/hooks";
import type { Measure, OpPage, Tensor } from "../model/api";
import { wholeDomain } from "../model/ruler";
import { Link, OpName, opState } from "./link";
import { RangeBar } from "./range_bar";

/** The op between its inputs and its consumers; the arrow keys walk between them, Enter goes there. */
export function Neighbours({ page }: { page: OpPage }) {
  const root = useRef<HTMLElement>(null);
  const inputs = page.inputs.flatMap(({ op, measure }) => (op ? [{ op, measure }] : []));
  return (
    <section
      class="card"
      aria-labelledby="neighbours-title"
      ref={root}
      onKeyDown={(event) => root.current && walk(root.current, event)}
    >
      <h2 id="neighbours-title">Neighbours</h2>
      <div class="flow">
        <Column title="Reads" tensors={inputs} total={page.inputs_total} page={page} />
        <p class="flow-self" aria-hidden="true">
          <OpName op={page.op} />
        </p>
        <Column title="Read by" tensors={page.consumers} total={page.consumers_total} page={page} />
      </div>
    </section>
  );
}

interface ColumnProps {
  title: string;
  tensors: Tensor[];
  total: number;
  page: OpPage;
}

function Column({ title, tensors, total, page }: ColumnProps) {
  return (
    <div data-column>
      <h3>{title}</h3>
      {tensors.length === 0 && <p class="muted">no measured tensor</p>}
      <ul>
        {tensors.map(({ op, measure }, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: an op may read the same tensor twice.
          <li key={`${op.key}${i}`}>
            <Link class="flow-op" to={opState(op, page.step)}>
              <OpName op={op} />
              <NeighbourRange page={page} dtype={op.dtype} measure={measure} />
            </Link>
          </li>
        ))}
      </ul>
      {total > tensors.length && <p class="muted">and {total - tensors.length} more</p>}
    </div>
  );
}

interface NeighbourRangeProps {
  page: OpPage;
  dtype: string;
  measure: Measure | null;
}

function NeighbourRange({ page, dtype, measure }: NeighbourRangeProps) {
  const format = page.formats[dtype];
  if (measure === null) return null;
  return (
    <RangeBar measure={measure} format={format} domain={wholeDomain([{ measure, format }])} width={160} />
  );
}

const KEYS: Record<string, [column: number, row: number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

function walk(root: HTMLElement, event: KeyboardEvent): void {
  const move = KEYS[event.key];
  if (move === undefined || !(event.target instanceof HTMLAnchorElement)) return;
  const columns = [...root.querySelectorAll("[data-column]")].map((c) => [...c.querySelectorAll("a")]);
  const column = columns.findIndex((links) => links.includes(event.target as HTMLAnchorElement));
  const row = columns[column]?.indexOf(event.target) ?? 0;
  const target = columns[column + move[0]];
  const link = target?.[Math.min(row + move[1], target.length - 1)];
  if (link) {
    event.preventDefault();
    link.focus();
  }
}

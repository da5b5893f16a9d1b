import { useRef } from "preact/hooks";
import type { OpPage, OpRef } from "../model/api";
import { Link, OpName, opState } from "./link";

/** The op between its inputs and its consumers; the arrow keys walk between them, Enter goes there. */
export function Neighbours({ page }: { page: OpPage }) {
  const root = useRef<HTMLElement>(null);
  const inputs = page.inputs.flatMap((input) => (input.op ? [input.op] : []));
  const consumers = page.consumers.map((consumer) => consumer.op);
  return (
    <section
      class="card neighbours"
      aria-labelledby="neighbours-title"
      ref={root}
      onKeyDown={(event) => root.current && walk(root.current, event)}
    >
      <h2 id="neighbours-title">Neighbours</h2>
      <div class="flow">
        <Column title="Reads" ops={inputs} total={page.inputs_total} page={page} />
        <p class="flow-self" aria-hidden="true">
          <OpName op={page.op} />
        </p>
        <Column title="Read by" ops={consumers} total={page.consumers_total} page={page} />
      </div>
    </section>
  );
}

interface ColumnProps {
  title: string;
  ops: OpRef[];
  total: number;
  page: OpPage;
}

function Column({ title, ops, total, page }: ColumnProps) {
  return (
    <div class="flow-column" data-column>
      <h3>{title}</h3>
      {ops.length === 0 && <p class="muted">no measured tensor</p>}
      <ul>
        {ops.map((op, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: an op may read the same tensor twice.
          <li key={`${op.key}${i}`}>
            <Link class="flow-op" to={opState(op, page.step)}>
              <OpName op={op} />
            </Link>
          </li>
        ))}
      </ul>
      {total > ops.length && <p class="muted">and {total - ops.length} more</p>}
    </div>
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

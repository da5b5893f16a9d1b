import { type ComponentChildren, Fragment } from "preact";
import { useApp } from "../context";
import { addressOf } from "../host/address";
import type { OpRef } from "../model/api";
import { formatHash, type State } from "../model/link";

interface LinkProps {
  to: Partial<State>;
  class?: string;
  label?: string;
  current?: boolean;
  children: ComponentChildren;
}

/** A real link, so that it can be copied and opened in a new tab; a plain click stays in the page. */
export function Link({ to, class: name, label, current, children }: LinkProps) {
  const { state, go } = useApp();
  const follow = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    go(to);
  };
  return (
    <a
      class={name}
      href={addressOf(formatHash({ ...state, ...to }))}
      target="_top"
      aria-label={label}
      aria-current={current ? "page" : undefined}
      onClick={follow}
    >
      {children}
    </a>
  );
}

/** The state that shows an op, at a step if one is given. */
export function opState(op: OpRef, step: number | null): Partial<State> {
  return { view: "op", op: op.key, step, filters: {} };
}

/** An op by type and name, leading to its page. */
export function OpLink({ op, step }: { op: OpRef; step: number | null }) {
  return (
    <Link to={opState(op, step)} class="op-link">
      <OpName op={op} />
    </Link>
  );
}

/** Type and what tells the op apart: the variable it reads or writes, else its name unless that repeats the type. */
export function OpName({ op }: { op: OpRef }) {
  const name = op.variable || op.name;
  return (
    <>
      <b class="op-type">{op.op_type}</b>
      {name !== op.op_type && (
        <span class="op-name">
          {" "}
          <Path name={name} />
        </span>
      )}
    </>
  );
}

/** A name whose lines end between its parts, where they can. */
function Path({ name }: { name: string }) {
  return (
    <>
      {name.split("/").map((part, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the parts of a name do not move.
        <Fragment key={i}>
          {i > 0 && "/"}
          {i > 0 && <wbr />}
          {part}
        </Fragment>
      ))}
    </>
  );
}

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { useApp } from "../context";
import { START } from "../model/link";
import { statusOf } from "../model/runs";
import { Icon } from "./icons";
import { RunList, type RunsProps, runName, shapeOf } from "./run_list";
import { useDismissal } from "./use_dismissal";

/** The run that is shown, and a list to choose another one from. */
export function RunChoice(props: RunsProps) {
  const { state } = useApp();
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const close = useCallback(() => {
    // The list takes the focus away with it.
    if (root.current?.contains(document.activeElement)) opener.current?.focus();
    setOpen(false);
  }, []);
  useDismissal(root, close);
  const status = statusOf(state.run ?? "", props.verdicts);
  return (
    <div class="run-choice" ref={root}>
      <button
        type="button"
        class="button"
        ref={opener}
        aria-expanded={open}
        aria-label={`Run ${runName(state.run ?? "")}${status ? `, ${status}` : ""}: choose another`}
        onClick={() => setOpen(!open)}
      >
        <Icon shape={shapeOf(status)} />
        <span class="ends">
          <bdi>{runName(state.run ?? "")}</bdi>
        </span>
      </button>
      {open && <OtherRuns {...props} close={close} />}
    </div>
  );
}

function OtherRuns({ runs, verdicts, close }: RunsProps & { close: () => void }) {
  const { state } = useApp();
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => list.current?.querySelector<HTMLElement>("input, a")?.focus(), []);
  const view = state.view === "op" ? "overview" : state.view;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the links inside are what is clicked, by the keyboard too.
    <div
      class="popover"
      role="dialog"
      aria-label="Choose a run"
      ref={list}
      onClick={(event) => event.target instanceof Element && event.target.closest("a") && close()}
    >
      <RunList runs={runs} verdicts={verdicts} to={(run) => ({ ...START, view, run })} />
    </div>
  );
}

import type { ComponentChildren } from "preact";
import { useApp } from "../context";
import { count } from "../model/format";
import { START } from "../model/link";
import type { SourceError } from "../source";
import { Icon, type Shape } from "./icons";
import { Link } from "./link";
import { useProgress } from "./use_progress";

interface EmptyStateProps {
  title: string;
  shape?: Shape;
  children?: ComponentChildren;
}

/** Says honestly why there is nothing to see, and what to do about it. */
export function EmptyState({ title, shape = "info", children }: EmptyStateProps) {
  return (
    <section class="empty">
      <Icon shape={shape} size={28} />
      <h2>{title}</h2>
      <div class="empty-text">{children}</div>
    </section>
  );
}

/** A training that has begun and not measured a step. */
export function NoStepYet({ children }: { children?: ComponentChildren }) {
  return (
    <EmptyState title="No step has been recorded yet" shape="pending">
      {children}
      <p>Press TensorBoard's reload button, or turn on auto-reload in its settings.</p>
    </EmptyState>
  );
}

export function Failure({ error }: { error: SourceError }) {
  const { state, refresh } = useApp();
  if (error.code !== 404) {
    return (
      <EmptyState title="This page could not be loaded" shape="warning">
        <p>{error.message}</p>
        <button type="button" class="button" onClick={refresh}>
          Try again
        </button>
      </EmptyState>
    );
  }
  return (
    <EmptyState title="Not in this log" shape="warning">
      <p>{error.message}</p>
      <Link to={{ ...START, run: state.run }}>Overview of the run</Link>
    </EmptyState>
  );
}

export function Waiting({ what }: { what: string }) {
  const progress = useProgress();
  return (
    <div class="waiting" role="status">
      <p>{what}…</p>
      {progress && (
        <p>
          <progress max={progress.total} value={progress.done} aria-label="Steps read" />{" "}
          {count(progress.done)} of {count(progress.total)} measured steps. The first time takes a while;
          after that, only what is new is read.
        </p>
      )}
    </div>
  );
}

import type { ComponentChildren } from "preact";
import type { SourceError } from "../source";
import { Icon, type Shape } from "./icons";

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

export function Failure({ error }: { error: SourceError }) {
  return (
    <EmptyState
      title={error.code === 404 ? "Not in this log" : "This page could not be loaded"}
      shape="warning"
    >
      <p>{error.message}</p>
    </EmptyState>
  );
}

export function Waiting({ what }: { what: string }) {
  return (
    <div class="waiting" role="status">
      <p>{what}…</p>
      <p class="waiting-long">A long run takes a while the first time; after that, only what is new.</p>
    </div>
  );
}

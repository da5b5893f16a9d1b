import type { Severity, Status } from "../model/api";

/** Meaning is in the shape; colour only repeats it. */
const SHAPES = {
  error: ["M5.5 1h5L15 5.5v5L10.5 15h-5L1 10.5v-5z", "M5.2 5.2l5.6 5.6M10.8 5.2l-5.6 5.6"],
  warning: ["M8 1.2 15.4 14.6H.6z", "M8 6v4M8 11.8v.9"],
  info: ["M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1z", "M8 7.2v4.3M8 4.4v.9"],
  ok: ["M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1z", "M4.6 8.3l2.4 2.4 4.4-5"],
  pending: ["M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1z", "M4.5 8h.6M7.7 8h.6M10.9 8h.6"],
} as const;

export type Shape = keyof typeof SHAPES;

export const STATUS_SHAPE: Record<Status, Shape> = { healthy: "ok", "at risk": "warning", broken: "error" };

export const SEVERITY_NAME: Record<Severity, string> = { error: "Error", warning: "Warning", info: "Note" };

export function Icon({ shape, size = 16, label }: { shape: Shape; size?: number; label?: string }) {
  const [body, sign] = SHAPES[shape];
  return (
    <svg
      class={`icon icon-${shape}`}
      width={size}
      height={size}
      viewBox="0 0 16 16"
      role={label ? "img" : undefined}
      aria-label={label}
      aria-hidden={label ? undefined : "true"}
    >
      <path class="icon-body" d={body} />
      <path class="icon-sign" d={sign} />
    </svg>
  );
}

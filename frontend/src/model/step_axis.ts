/** Pixels for one label, the air beside it included. */
const ROOM = 64;

/** Columns of a chart to label with their steps; the last one always is. */
export function labelled(columns: number, width: number): number[] {
  if (columns === 0) return [];
  const every = Math.max(1, Math.ceil((ROOM * columns) / Math.max(1, width)));
  const inner = Array.from({ length: Math.ceil(columns / every) }, (_, i) => i * every);
  return [...inner.filter((column) => columns - 1 - column >= every), columns - 1];
}

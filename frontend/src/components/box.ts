/** A position and size in pixels as an element's style. */
export function box(sides: {
  left?: number;
  top?: number;
  width?: number;
  height?: number;
}): Record<string, string> {
  return Object.fromEntries(Object.entries(sides).map(([side, pixels]) => [side, `${pixels}px`]));
}

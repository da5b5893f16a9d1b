/** Where on a page the reader was, so that going back leads there and not to the top. */

const places = new Map<string, number>();
let waiting: AbortController | null = null;

/** Keeps how far down the page of a hash has been scrolled. */
export function keepPlace(hash: string): void {
  places.set(hash, window.scrollY);
}

/** Scrolls to where the page of a hash was left, once enough of it is there; not if the reader moves first. */
export function returnToPlace(hash: string): void {
  waiting?.abort();
  const place = places.get(hash) ?? 0;
  const wait = new AbortController();
  waiting = wait;
  const tries = new ResizeObserver(() => {
    if (document.documentElement.scrollHeight < place + window.innerHeight) return;
    window.scrollTo(0, place);
    wait.abort();
  });
  wait.signal.addEventListener("abort", () => tries.disconnect());
  for (const sign of ["wheel", "keydown", "pointerdown"]) {
    window.addEventListener(sign, () => wait.abort(), { signal: wait.signal, passive: true });
  }
  tries.observe(document.body);
}

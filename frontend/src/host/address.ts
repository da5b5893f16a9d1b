/**
 * The address bar. In TensorBoard the tab is an iframe, and the address the user sees, shares and
 * walks back and forth in is the parent's; a static report has no parent.
 *
 * The hash is read directly: TensorBoard's own getURLPluginData() is empty on a cold load.
 */

/** The window whose address the user sees: the parent where it may be touched, else our own. */
function outer(): Window {
  try {
    // Reading a property of a foreign origin's location throws.
    void window.parent.location.hash;
    return window.parent;
  } catch {
    return window;
  }
}

const host = outer();

export function readHash(): string {
  return host.location.hash;
}

/** Goes to a new state; the browser's back button returns from it. */
export function pushHash(hash: string): void {
  host.location.hash = hash;
}

/** Corrects the address without a step in the history. */
export function replaceHash(hash: string): void {
  host.history.replaceState(host.history.state, "", hash);
}

/** Calls back whenever the hash changes, by a link, by back and forward or by pushHash. */
export function onHashChange(callback: () => void): () => void {
  host.addEventListener("hashchange", callback);
  host.addEventListener("popstate", callback);
  return () => {
    host.removeEventListener("hashchange", callback);
    host.removeEventListener("popstate", callback);
  };
}

/** A complete address for a hash, to be pasted elsewhere. */
export function addressOf(hash: string): string {
  return host.location.href.replace(/#.*$/, "") + hash;
}

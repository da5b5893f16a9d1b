/**
 * Light or dark. TensorBoard tells its iframes nothing, but marks its own body; outside of
 * TensorBoard the system's preference decides.
 */

const DARK_CLASS = "dark-mode";

function tensorBoardBody(): HTMLElement | null {
  try {
    return window.parent === window ? null : window.parent.document.body;
  } catch {
    return null;
  }
}

/** Keeps the document's data-theme attribute up to date. */
export function followTheme(root: HTMLElement): void {
  const body = tensorBoardBody();
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const dark = body ? body.classList.contains(DARK_CLASS) : system.matches;
    root.dataset.theme = dark ? "dark" : "light";
  };
  apply();
  if (body) {
    new MutationObserver(apply).observe(body, { attributes: true, attributeFilter: ["class"] });
  } else {
    system.addEventListener("change", apply);
  }
}

/** Calls back when the theme has changed: canvases must be drawn again. */
export function onThemeChange(root: HTMLElement, callback: () => void): () => void {
  const observer = new MutationObserver(callback);
  observer.observe(root, { attributes: true, attributeFilter: ["data-theme"] });
  return () => observer.disconnect();
}

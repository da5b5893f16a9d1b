/** What fits on A4 and Letter at the size that browsers print at, in pixels. */
const PAPER_WIDTH = 940;

/** On paper the page is light, no wider than that, and shows what is folded away, but for long tables. */
export function followPrinting(root: HTMLElement): void {
  const { dataset } = document.documentElement;
  let restore = () => {};
  window.addEventListener("beforeprint", () => {
    const { theme } = dataset;
    const folded = root.querySelectorAll<HTMLDetailsElement>("details:not([open], .numbers)");
    const show = (paper: boolean) => {
      dataset.theme = paper ? "light" : theme;
      root.style.width = paper ? `${PAPER_WIDTH}px` : "";
      for (const details of folded) details.open = paper;
    };
    show(true);
    restore = () => show(false);
  });
  window.addEventListener("afterprint", () => restore());
}

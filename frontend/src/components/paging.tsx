import { useApp } from "../context";

interface PagingProps {
  /** What is listed, as in "Layers 1–24 of 60". */
  what: string;
  first: number;
  shown: number;
  total: number;
  /** Most items of a page. */
  size: number;
}

/** Walks through a long list that the server hands out in parts. */
export function Paging({ what, first, shown, total, size }: PagingProps) {
  const { state, go } = useApp();
  if (total <= shown) return null;
  const page = (start: number) =>
    go({ filters: { ...state.filters, first: start > 0 ? String(start) : "" } });
  return (
    <nav class="pages" aria-label={`More ${what}`}>
      <button type="button" class="button" disabled={first === 0} onClick={() => page(first - size)}>
        Previous
      </button>
      {what} {first + 1}–{first + shown} of {total}
      <button
        type="button"
        class="button"
        disabled={first + shown >= total}
        onClick={() => page(first + size)}
      >
        Next
      </button>
    </nav>
  );
}

/** Where the list begins that a link asks for. */
export function firstOf(filters: Record<string, string>): number | null {
  const first = /^\d{1,9}$/.exec(filters.first ?? "")?.[0];
  return first ? Number(first) : null;
}

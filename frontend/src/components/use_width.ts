import type { RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

/** The content width of an element in whole pixels, kept up to date; 0 before it is laid out. */
export function useWidth<E extends HTMLElement>(): [RefObject<E | null>, number] {
  const ref = useRef<E>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = ref.current;
    if (element === null) return;
    const measure = () => setWidth(Math.floor(element.clientWidth));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    // The observer would tell only after the paper has been laid out.
    window.addEventListener("beforeprint", measure);
    return () => {
      observer.disconnect();
      window.removeEventListener("beforeprint", measure);
    };
  }, []);
  return [ref, width];
}

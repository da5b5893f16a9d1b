import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";

/** Calls `dismiss` when Escape is pressed in an element, or the pointer or the focus goes elsewhere. */
export function useDismissal(ref: RefObject<HTMLElement | null>, dismiss: () => void): void {
  useEffect(() => {
    const element = ref.current;
    if (element === null) return;
    const outside = (target: EventTarget | null) => target instanceof Node && !element.contains(target);
    const onKey = (event: KeyboardEvent) => event.key === "Escape" && dismiss();
    const onLeave = (event: Event) => outside(event.target) && dismiss();
    element.addEventListener("keydown", onKey);
    document.addEventListener("pointerdown", onLeave);
    document.addEventListener("focusin", onLeave);
    return () => {
      element.removeEventListener("keydown", onKey);
      document.removeEventListener("pointerdown", onLeave);
      document.removeEventListener("focusin", onLeave);
    };
  }, [ref, dismiss]);
}

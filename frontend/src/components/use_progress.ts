import { useEffect, useState } from "preact/hooks";
import { useApp } from "../context";
import type { Progress } from "../model/api";

/** Milliseconds between two questions; what is there sooner needs no progress. */
const PAUSE = 1000;

/** How far the server has come with reading the run of this page; null while nobody needs to know. */
export function useProgress(): Progress | null {
  const { source, state } = useApp();
  const [progress, setProgress] = useState<Progress | null>(null);
  const { run, session } = state;
  useEffect(() => {
    if (!source.live || run === null) return;
    const timer = setInterval(
      () => source.get<Progress>("progress", { run, session }).then(setProgress, () => setProgress(null)),
      PAUSE,
    );
    return () => clearInterval(timer);
  }, [source, run, session]);
  return progress !== null && progress.done < progress.total ? progress : null;
}

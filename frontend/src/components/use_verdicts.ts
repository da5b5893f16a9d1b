import { useEffect, useState } from "preact/hooks";
import { useApp } from "../context";
import type { RunInfo, RunVerdict, Verdict } from "../model/api";

/** The verdict on each run, asked for one after the other so that the open page comes first. */
export function useVerdicts(runs: RunInfo[]): Map<string, Verdict> {
  const { source, version } = useApp();
  const [known, setKnown] = useState(new Map<string, Verdict>());
  const names = runs.filter((run) => run.sessions.some((s) => s.records > 0)).map((run) => run.name);
  const list = JSON.stringify(names);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `version` stands for the data behind the answers.
  useEffect(() => {
    let wanted = true;
    (async () => {
      for (const run of JSON.parse(list) as string[]) {
        const answer = await source.get<RunVerdict>("verdict", { run }).catch(() => null);
        if (!wanted) return;
        if (answer) setKnown((before) => new Map(before).set(run, answer.verdict));
      }
    })();
    return () => {
      wanted = false;
    };
  }, [list, source, version]);
  return known;
}

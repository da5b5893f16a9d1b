import { useEffect, useState } from "preact/hooks";
import { useApp } from "../context";
import type { RunInfo, RunVerdict, Verdict } from "../model/api";
import type { Source } from "../source";

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
        const answer = await wholeVerdict(source, run, () => wanted);
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

/** A run's verdict once it is about all records, or null where there is none to be had. */
async function wholeVerdict(source: Source, run: string, wanted: () => boolean): Promise<RunVerdict | null> {
  const ask = () => source.get<RunVerdict>("verdict", { run, patience: source.patience }).catch(() => null);
  let answer = await ask();
  while (wanted() && answer !== null && answer.judged < answer.records) answer = await ask();
  return answer;
}

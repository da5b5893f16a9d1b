import { MainFinding, OtherFindings } from "../components/finding_cards";
import { Icon, STATUS_SHAPE } from "../components/icons";
import { Link } from "../components/link";
import { PageTitle } from "../components/page_title";
import { AllRuns, type RunsProps } from "../components/run_list";
import { Failure, NoStepYet, Waiting } from "../components/states";
import { useAnswer, useApp } from "../context";
import { download } from "../host/download";
import type { Finding, Overview, Verdict } from "../model/api";
import { findingsCsv } from "../model/csv";
import { count, listed, plural, prose } from "../model/format";

function isUnfinished(overview: Overview): boolean {
  return overview.judged < overview.session.records;
}

/** How much of the run the page is about. */
function Judging({ overview }: { overview: Overview }) {
  const { judged, session } = overview;
  return (
    <p class="remark" role="status">
      <progress max={session.records} value={judged} aria-label="Steps judged" /> Judged so far: the first{" "}
      {count(judged)} of {count(session.records)} measured steps.
    </p>
  );
}

/** The first look: how the run is doing, what is wrong, why, and how to mend it, without a click. */
export function OverviewView({ runs, verdicts }: RunsProps) {
  const { state, source } = useApp();
  const { run, session } = state;
  const params = { run, session, patience: source.patience };
  const { value, error } = useAnswer<Overview>("overview", params, isUnfinished);
  if (error) return <Failure error={error} />;
  if (value === null) return <Waiting what="Looking at the measurements" />;
  if (value.verdict === null) return <Begun overview={value} />;
  const [worst, ...others] = value.findings;
  return (
    <div class={runs.length > 1 ? "stack beside" : "stack"}>
      <div class="stack">
        {isUnfinished(value) && <Judging overview={value} />}
        <Banner verdict={value.verdict} worst={worst} whole={!isUnfinished(value)} />
        <Remarks overview={value} />
        {/* The verdict tells of the worst finding, unless that is too small a matter for a verdict. */}
        {worst ? <MainFinding finding={worst} told={value.verdict.status !== "healthy"} /> : <AllWell />}
        {others.length > 0 && <OtherFindings findings={others} />}
        <Facts overview={value} />
      </div>
      {runs.length > 1 && <AllRuns runs={runs} verdicts={verdicts} />}
    </div>
  );
}

function Begun({ overview }: { overview: Overview }) {
  return (
    <>
      {overview.sessions.length > 1 && <Parts overview={overview} />}
      <NoStepYet>
        <p>
          {overview.slots > 0
            ? `${plural(overview.slots, "tensor")} will be measured.`
            : "The training has started but has not called log_step yet."}
        </p>
        <Problems problems={overview.problems} />
      </NoStepYet>
    </>
  );
}

interface BannerProps {
  verdict: Verdict;
  worst: Finding | undefined;
  /** False while only the first records have been judged. */
  whole: boolean;
}

/** The verdict in a few words; of what is coming, with the time that is left. */
function headline({ verdict, worst, whole }: BannerProps): string {
  if (verdict.status === "healthy") return whole ? "Healthy" : "Healthy so far";
  if (verdict.status === "broken") return `Broken at step ${verdict.step}`;
  return worst?.forecast ? `At risk: ${prose(worst.forecast)}` : "At risk";
}

function Banner(props: BannerProps) {
  const { verdict } = props;
  return (
    <section class={`banner banner-${STATUS_SHAPE[verdict.status]}`} aria-labelledby="verdict">
      <Icon shape={STATUS_SHAPE[verdict.status]} size={36} />
      <div>
        <PageTitle id="verdict">{headline(props)}</PageTitle>
        <p>{prose(verdict.text)}</p>
      </div>
    </section>
  );
}

/** What is wrong with the data themselves. */
function Remarks({ overview }: { overview: Overview }) {
  return (
    <>
      {overview.sessions.length > 1 && <Parts overview={overview} />}
      <Problems problems={overview.problems} />
      {overview.notes.map((note) => (
        <p class="remark" key={note}>
          {prose(note)}
        </p>
      ))}
    </>
  );
}

/** That a run has several sessions, and the choice between them. */
function Parts({ overview }: { overview: Overview }) {
  const { go, source } = useApp();
  const { session, sessions } = overview;
  const parts = sessions.map((s, i) => ({
    id: s.id,
    name: `part ${i + 1}${s.worker && ` (worker ${s.worker})`}, ${plural(s.records, "measured step")}`,
  }));
  const choose = (id: string) => go({ session: id === sessions.at(-1)?.id ? null : id });
  return (
    <p class="remark">
      This run was recorded in {parts.length} parts, by restarts or workers.{" "}
      {source.live ? (
        <label>
          Showing{" "}
          <select value={session.id} onChange={(e) => choose(e.currentTarget.value)}>
            {parts.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </label>
      ) : (
        `This report is of ${parts.find(({ id }) => id === session.id)?.name}.`
      )}
    </p>
  );
}

function Problems({ problems }: { problems: string[] }) {
  return (
    <>
      {problems.map((problem) => (
        <p class="remark remark-problem" key={problem}>
          {problem}
        </p>
      ))}
    </>
  );
}

function AllWell() {
  return (
    <section class="card">
      <h2>Nothing to report</h2>
      <p>
        No harmful NaN or ∞, nothing lost that counts, no headroom running out. See{" "}
        <Link to={{ view: "map" }}>how close each tensor came to its limits</Link>, or{" "}
        <Link to={{ view: "layers" }}>how a smaller format would do</Link>.
      </p>
    </section>
  );
}

function Facts({ overview }: { overview: Overview }) {
  const { session } = overview;
  const save = (extension: string, type: string, text: string) =>
    download(`${overview.run.replace(/[^\w.-]+/g, "-")}-findings.${extension}`, type, text);
  return (
    <footer class="facts">
      <p class="muted">
        {plural(session.records, "measured step")} ({session.first_step}–{session.last_step}) of{" "}
        {plural(overview.slots, "tensor")}, computed in {listed(overview.formats)}.
      </p>
      {overview.findings.length > 0 && (
        <p class="tools">
          <button
            type="button"
            class="button"
            onClick={() => save("csv", "text/csv", findingsCsv(overview.findings))}
          >
            Findings as CSV
          </button>
          <button
            type="button"
            class="button"
            onClick={() => save("json", "application/json", JSON.stringify(overview, null, 2))}
          >
            Findings as JSON
          </button>
        </p>
      )}
    </footer>
  );
}

import { EvidenceRuler } from "../components/evidence";
import { CertaintyTag, Chain, CopyMarkdown, FixAdvice, Foreseen } from "../components/finding_parts";
import { Icon, SEVERITY_NAME, STATUS_SHAPE } from "../components/icons";
import { Link, OpLink, opState } from "../components/link";
import { PageTitle } from "../components/page_title";
import { RunList, type RunsProps } from "../components/run_list";
import { SourceLine } from "../components/source_line";
import { Failure, NoStepYet, Waiting } from "../components/states";
import { useAnswer, useApp } from "../context";
import { download } from "../host/download";
import type { Finding, Overview, Verdict } from "../model/api";
import { findingsCsv } from "../model/csv";
import { tellingStep } from "../model/finding";
import { count, listed, place, plural, prose, stepRange } from "../model/format";

/** Milliseconds that the server may judge a long run before it shows how far that has come. */
const PATIENCE = 500;

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
  const patience = source.live ? PATIENCE : null;
  const { value, error } = useAnswer<Overview>("overview", { run, session, patience }, isUnfinished);
  if (error) return <Failure error={error} />;
  if (value === null) return <Waiting what="Looking at the measurements" />;
  if (value.verdict === null) return <Begun overview={value} />;
  const [worst, ...others] = value.findings;
  return (
    <>
      <div class={runs.length > 1 ? "stack beside" : "stack"}>
        <div class="stack">
          {isUnfinished(value) && <Judging overview={value} />}
          <Banner verdict={value.verdict} worst={worst} whole={!isUnfinished(value)} />
          <Remarks overview={value} />
          {worst ? <MainFinding finding={worst} /> : <AllWell />}
          {others.length > 0 && <OtherFindings findings={others} />}
        </div>
        {runs.length > 1 && <RunList runs={runs} verdicts={verdicts} />}
      </div>
      <Facts overview={value} />
    </>
  );
}

function Begun({ overview }: { overview: Overview }) {
  return (
    <NoStepYet>
      <p>
        {overview.slots > 0
          ? `${plural(overview.slots, "tensor")} will be measured.`
          : "The training has started but has not called log_step yet."}
      </p>
      <Problems problems={overview.problems} />
    </NoStepYet>
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
  const { go } = useApp();
  const latest = overview.sessions.at(-1);
  return (
    <>
      {overview.sessions.length > 1 && (
        <p class="remark">
          <label>
            This run was recorded in {overview.sessions.length} parts, by restarts or workers. Showing{" "}
            <select
              value={overview.session.id}
              onChange={(e) =>
                go({ session: e.currentTarget.value === latest?.id ? null : e.currentTarget.value })
              }
            >
              {overview.sessions.map((s, i) => (
                <option key={s.id} value={s.id}>
                  part {i + 1}
                  {s.worker && ` (worker ${s.worker})`}, {plural(s.records, "measured step")}
                </option>
              ))}
            </select>
          </label>
        </p>
      )}
      <Problems problems={overview.problems} />
      {overview.notes.map((note) => (
        <p class="remark" key={note}>
          {prose(note)}
        </p>
      ))}
    </>
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

/** The worst finding in full: where, why, how to fix it, and the picture that proves it. */
function MainFinding({ finding }: { finding: Finding }) {
  return (
    <article class={`card finding finding-${finding.severity}`} aria-labelledby="main-finding">
      <header class="head">
        <h2 id="main-finding">{prose(finding.title)}</h2>
        <span class="tools">
          <CertaintyTag certainty={finding.certainty} />
          <CopyMarkdown finding={finding} />
        </span>
      </header>
      <FindingBody finding={finding} />
      <EvidenceRuler finding={finding} />
    </article>
  );
}

function FindingBody({ finding }: { finding: Finding }) {
  return (
    <div class="finding-body">
      <section>
        <h3>Where</h3>
        {finding.op.source && <SourceLine frame={finding.op.source} />}
        <p class="finding-op">
          <OpLink op={finding.op} step={tellingStep(finding)} />
          {finding.op.layer && <> in layer {finding.op.layer}</>}
          <br />
          <span class="muted">
            {finding.count > 1
              ? `${stepRange(finding.first_step, finding.last_step)}, in ${plural(finding.count, "measured step")}`
              : `at ${stepRange(finding.first_step, finding.last_step)}`}
          </span>
        </p>
        <Foreseen finding={finding} />
      </section>
      <Chain finding={finding} />
      <section>
        <h3>Fix</h3>
        <FixAdvice fix={finding.fix} />
      </section>
    </div>
  );
}

function OtherFindings({ findings }: { findings: Finding[] }) {
  return (
    <section class="others" aria-labelledby="other-findings">
      <h2 id="other-findings">Also found</h2>
      <ol class="finding-list">
        {findings.map((finding) => (
          <li key={`${finding.rule}:${finding.op.key}`}>
            <details class={`card finding finding-${finding.severity}`}>
              <summary>
                <Icon shape={finding.severity} label={SEVERITY_NAME[finding.severity]} />
                <span class="finding-title">{prose(finding.title)}</span>
                <span class="finding-where">
                  <b class="op-type">{finding.op.op_type}</b>
                  {finding.op.source && ` ${place(finding.op.source)}`}
                </span>
                <span class="finding-when">{stepRange(finding.first_step, finding.last_step)}</span>
              </summary>
              <p>{prose(`${finding.summary} ${finding.forecast}`)}</p>
              <FindingBody finding={finding} />
              <p class="tools">
                <Link class="button" to={opState(finding.op, tellingStep(finding))}>
                  Show the evidence
                </Link>
                <CopyMarkdown finding={finding} />
              </p>
            </details>
          </li>
        ))}
      </ol>
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

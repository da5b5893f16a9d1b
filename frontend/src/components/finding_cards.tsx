import type { Finding } from "../model/api";
import { place, plural, prose, stepRange } from "../model/format";
import { EvidenceRuler } from "./evidence";
import { Chain, FindingTools, FixAdvice, Foreseen } from "./finding_parts";
import { Icon, SEVERITY_NAME } from "./icons";
import { Link, OpLink, opState } from "./link";
import { SourceLine } from "./source_line";

interface MainFindingProps {
  finding: Finding;
  /** Whether its sentence stands above already. */
  told: boolean;
}

/** The worst finding in full: where, why, how to fix it, and the picture that proves it. */
export function MainFinding({ finding, told }: MainFindingProps) {
  return (
    <article class={`card finding finding-${finding.severity}`} aria-labelledby="main-finding">
      <header class="head">
        <h2 id="main-finding">{prose(finding.title)}</h2>
        <FindingTools finding={finding} />
      </header>
      {told || <Sentence finding={finding} />}
      <FindingBody finding={finding} />
      <EvidenceRuler finding={finding} />
    </article>
  );
}

/** What a finding says, with the numbers. */
function Sentence({ finding }: { finding: Finding }) {
  return (
    <span class="finding-sentence">
      {prose(finding.summary)}
      {finding.forecast && <b> Forecast: {prose(finding.forecast)}.</b>}
    </span>
  );
}

function FindingBody({ finding }: { finding: Finding }) {
  return (
    <div class="finding-body">
      <section>
        <h3>Where</h3>
        {finding.op.source && <SourceLine frame={finding.op.source} />}
        <p class="finding-op">
          <OpLink op={finding.op} step={finding.step} />
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
      <FixAdvice fix={finding.fix} />
    </div>
  );
}

/** What else is wrong, in a sentence each; why and how to fix it when opened. */
export function OtherFindings({ findings }: { findings: Finding[] }) {
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
                <Sentence finding={finding} />
              </summary>
              <FindingBody finding={finding} />
              <p class="tools">
                <Link class="button" to={opState(finding.op, finding.step)}>
                  Show the evidence
                </Link>
                <FindingTools finding={finding} />
              </p>
            </details>
          </li>
        ))}
      </ol>
    </section>
  );
}

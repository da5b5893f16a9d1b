import { useApp, usePermalink } from "../context";
import type { Certainty, Finding, Hop } from "../model/api";
import { CERTAINTY_NAME, hopsOf, MANY_PASSED, storyOf } from "../model/finding";
import { codeLines, plural, prose } from "../model/format";
import { findingMarkdown } from "../model/markdown";
import { CopyButton } from "./copy_button";
import { OpLink, opState } from "./link";

const CERTAINTY_TEXT: Record<Certainty, string> = {
  proven: "Proven: follows from the measured ranges by arithmetic",
  event: "Counted: it happened to elements that were counted",
  possible: "Possible for the measured ranges",
};

export function CertaintyTag({ certainty }: { certainty: Certainty }) {
  return (
    <span class="tag" title={CERTAINTY_TEXT[certainty]}>
      {CERTAINTY_NAME[certainty]}
    </span>
  );
}

/** From the symptom down to the cause; ops between it and the finding's own passed it on, and are folded away. */
export function Chain({ finding }: { finding: Finding }) {
  const { symptom, between, cause } = storyOf(finding);
  if (symptom.length === 0) return null;
  return (
    <section>
      <h3>Why</h3>
      <ol class="chain">
        {symptom.map(hopItem)}
        {between.length < MANY_PASSED ? between.map(hopItem) : <PassedOn hops={between} />}
        {cause.map(hopItem)}
      </ol>
    </section>
  );
}

/** The warning that came before the error. */
export function Foreseen({ finding }: { finding: Finding }) {
  const { foreseen } = hopsOf(finding);
  return foreseen.length > 0 ? <ul class="foreseen">{foreseen.map(hopItem)}</ul> : null;
}

function PassedOn({ hops }: { hops: Hop[] }) {
  return (
    <li class="chain-between">
      <details>
        <summary>{plural(hops.length, "op")} passed it on</summary>
        <ol class="chain">{hops.map(hopItem)}</ol>
      </details>
    </li>
  );
}

function hopItem(hop: Hop) {
  return (
    <li key={`${hop.op.key}@${hop.step}`}>
      <p>{prose(hop.text)}</p>
      <small>
        <OpLink op={hop.op} step={hop.step} /> · step {hop.step}
      </small>
    </li>
  );
}

function CopyMarkdown({ finding }: { finding: Finding }) {
  const { state } = useApp();
  const permalink = usePermalink();
  const text = () => findingMarkdown(finding, state.run ?? "", permalink(opState(finding.op, finding.step)));
  return <CopyButton label="Copy as Markdown" text={text} done="Finding copied as Markdown." />;
}

/** How sure a finding is, and what one may take along of it. */
export function FindingTools({ finding }: { finding: Finding }) {
  return (
    <span class="tools">
      <CertaintyTag certainty={finding.certainty} />
      <CopyMarkdown finding={finding} />
    </span>
  );
}

export function FixAdvice({ fix }: { fix: Finding["fix"] }) {
  return (
    <section>
      <h3>Fix</h3>
      <p>{prose(fix.text)}</p>
      {(fix.before || fix.after) && (
        <div class="diff">
          <DiffPart name="Before" sign="−" code={fix.before} />
          <DiffPart name="After" sign="+" code={fix.after} />
        </div>
      )}
    </section>
  );
}

function DiffPart({ name, sign, code }: { name: string; sign: string; code: string }) {
  if (!code) return null;
  return (
    <pre class={`diff-part diff-${name.toLowerCase()}`}>
      <span class="offscreen">{name}:</span>
      <code>
        {codeLines(code).map((line, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines of a text have no other name.
          <span class="diff-line" key={i}>
            <span class="diff-sign" aria-hidden="true">
              {sign}
            </span>
            {`${line}\n`}
          </span>
        ))}
      </code>
    </pre>
  );
}

import { Fragment } from "preact";
import { useApp } from "../context";
import { addressOf } from "../host/address";
import type { Certainty, Finding, Hop } from "../model/api";
import { tellingStep } from "../model/finding";
import { plural, prose } from "../model/format";
import { formatHash } from "../model/link";
import { findingMarkdown } from "../model/markdown";
import { CopyButton } from "./copy_button";
import { OpLink, opState } from "./link";

const CERTAINTY_TEXT: Record<Certainty, string> = {
  proven: "Proven: follows from the measured ranges by arithmetic",
  event: "Counted: it happened to elements that were counted",
  possible: "Possible for the measured ranges",
};

const CERTAINTY_NAME: Record<Certainty, string> = {
  proven: "proven",
  event: "counted",
  possible: "possible",
};

export function CertaintyTag({ certainty }: { certainty: Certainty }) {
  return (
    <span class="tag" title={CERTAINTY_TEXT[certainty]}>
      {CERTAINTY_NAME[certainty]}
    </span>
  );
}

/** Hops shown at each end of a long chain: the symptom, and the origin with what led to it. */
const FROM_SYMPTOM = 1;
const FROM_CAUSE = 2;

/** From the symptom down to the cause; ops in between that merely passed it on are folded away. */
export function Chain({ hops }: { hops: Hop[] }) {
  const between = hops.slice(FROM_SYMPTOM, -FROM_CAUSE);
  if (between.length < 2) return <ol class="chain">{hops.map(hopItem)}</ol>;
  return (
    <ol class="chain">
      {hops.slice(0, FROM_SYMPTOM).map(hopItem)}
      <li class="chain-between">
        <details>
          <summary>{plural(between.length, "op")} passed it on</summary>
          <ol class="chain">{between.map(hopItem)}</ol>
        </details>
      </li>
      {hops.slice(-FROM_CAUSE).map(hopItem)}
    </ol>
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

export function CopyMarkdown({ finding }: { finding: Finding }) {
  const { state } = useApp();
  const text = () => {
    const link = addressOf(formatHash({ ...state, ...opState(finding.op, tellingStep(finding)) }));
    return findingMarkdown(finding, state.run ?? "", link);
  };
  return <CopyButton label="Copy as Markdown" text={text} done="Finding copied as Markdown." />;
}

export function FixAdvice({ fix }: { fix: Finding["fix"] }) {
  return (
    <>
      <p>{fix.text}</p>
      {(fix.before || fix.after) && (
        <div class="diff">
          <DiffPart name="Before" sign="−" code={fix.before} />
          <DiffPart name="After" sign="+" code={fix.after} />
        </div>
      )}
    </>
  );
}

function DiffPart({ name, sign, code }: { name: string; sign: string; code: string }) {
  if (!code) return null;
  return (
    <pre class={`diff-part diff-${name.toLowerCase()}`}>
      <span class="offscreen">{name}:</span>
      <code>
        {code.split("\n").map((line, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines of a text have no other name.
          <Fragment key={i}>
            <span class="diff-sign" aria-hidden="true">
              {sign}
            </span>
            {`${line}\n`}
          </Fragment>
        ))}
      </code>
    </pre>
  );
}

import { Fragment } from "preact";
import type { Certainty, Finding, Hop } from "../model/api";
import { OpLink } from "./link";

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

/** From the symptom down to the cause. */
export function Chain({ hops }: { hops: Hop[] }) {
  return (
    <ol class="chain">
      {hops.map((hop) => (
        <li key={`${hop.op.key}@${hop.step}`}>
          <p>{hop.text}</p>
          <small>
            <OpLink op={hop.op} step={hop.step} /> · step {hop.step}
          </small>
        </li>
      ))}
    </ol>
  );
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

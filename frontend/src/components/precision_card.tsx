import { useAnswer, useApp } from "../context";
import { count, plural, power, prose, share } from "../model/format";
import type { FormatAdvice, Precision, PrecisionPart } from "../model/precision";
import { Icon, type Shape } from "./icons";
import { OpLink } from "./link";

const SHAPE: Record<FormatAdvice["verdict"], Shape> = {
  fits: "ok",
  "in use": "info",
  "with care": "warning",
  "does not fit": "error",
};

/** Which smaller format the training would bear, what to do for it, and what that rests on. */
export function PrecisionCard() {
  const { state } = useApp();
  const { value } = useAnswer<Precision>("precision", { run: state.run, session: state.session });
  if (value === null) return null;
  // What follows the recommendation is in the list.
  const [recommendation] = value.summary;
  return (
    <section class="card" aria-labelledby="precision-title">
      <h2 id="precision-title">Which precision would do</h2>
      <p class="recommendation">{prose(recommendation ?? "")}</p>
      {value.code && (
        <pre class="sample">
          <code>{value.code}</code>
        </pre>
      )}
      <ul class="advice">
        {value.advice.map((advice) => (
          <Advice key={advice.format} advice={advice} />
        ))}
      </ul>
    </section>
  );
}

function Advice({ advice }: { advice: FormatAdvice }) {
  const { format, verdict, text, parts, keep } = advice;
  return (
    <li>
      <details>
        <summary>
          <Icon shape={SHAPE[verdict]} />
          <b>{format}</b>
          <span>{verdict}</span>
          <span class="muted">{prose(text)}</span>
        </summary>
        <PartsTable parts={parts} />
        {advice.loss_scale && (
          <p>
            Loss scale: {power(advice.loss_scale.exponent)} (anything from {power(advice.loss_scale.low)} to{" "}
            {power(advice.loss_scale.high)}). Of the gradient elements {share(advice.loss_scale.underflow, 1)}{" "}
            become 0 without it, {share(advice.loss_scale.remaining, 1)} with it.
          </p>
        )}
        {keep.total > 0 && <Kept keep={keep} />}
      </details>
    </li>
  );
}

function Kept({ keep }: { keep: FormatAdvice["keep"] }) {
  return (
    <>
      <p>Keep {plural(keep.total, "place")} in float32:</p>
      <ul class="kept">
        {keep.ops.map(({ op, reason, text }) => (
          <li key={op.key}>
            <OpLink op={op} step={null} /> <b>{reason}</b> <span class="muted">{prose(text)}</span>
          </li>
        ))}
      </ul>
      {keep.total > keep.ops.length && <p class="muted">and {count(keep.total - keep.ops.length)} more.</p>}
    </>
  );
}

const COLUMNS: [name: string, value: (part: PrecisionPart) => string][] = [
  ["Tensors", (p) => count(p.tensors)],
  ["Tensors that overflow", (p) => count(p.overflowing)],
  ["Elements that become 0", (p) => share(p.underflow, 1)],
  ["Elements that lose precision", (p) => share(p.subnormal, 1)],
  ["Updates lost", (p) => (p.lost === null ? "–" : share(p.lost, 1))],
];

function PartsTable({ parts }: { parts: PrecisionPart[] }) {
  if (parts.length === 0) return null;
  return (
    <div class="scroll">
      <table class="table">
        <thead>
          <tr>
            <th scope="col">
              <span class="offscreen">Part</span>
            </th>
            {COLUMNS.map(([name]) => (
              <th scope="col" class="number" key={name}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {parts.map((part) => (
            <tr key={part.part}>
              <th scope="row">{part.part}</th>
              {COLUMNS.map(([name, value]) => (
                <td class="number" key={name}>
                  {value(part)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

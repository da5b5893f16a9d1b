import type { OpPage } from "../model/api";
import { dataDomain } from "../model/ruler";
import { type Fit, fitOf, overRun } from "../model/what_if";
import { Icon, type Shape } from "./icons";
import { RangeBar } from "./range_bar";

const SHAPE: Record<Fit["verdict"], Shape> = {
  fits: "ok",
  loses: "warning",
  overflows: "error",
  vanishes: "error",
};

/** How the result, as it was measured, would fare in each other format: the same values, other limits. */
export function WhatIf({ page }: { page: OpPage }) {
  const { measure } = page.result;
  const finite = measure && { ...measure, nan: 0, pos_inf: 0, neg_inf: 0 };
  const all = measure === null || measure.nan + measure.pos_inf + measure.neg_inf === 0;
  const fits = Object.values(page.formats).flatMap((format) => {
    const fit = measure && format.name !== page.op.dtype ? fitOf(measure, format) : null;
    return fit ? [fit] : [];
  });
  const domain = dataDomain([{ measure, format: page.formats[page.op.dtype] }]);
  return (
    <section class="card" aria-labelledby="what-if-title">
      <h2 id="what-if-title">The result in other formats</h2>
      {fits.length === 0 ? (
        <p class="muted">No finite non-zero value was measured in this step.</p>
      ) : (
        <p class="muted">
          What would become of the {all ? "" : "finite "}values of step {page.step}.
        </p>
      )}
      <ul class="what-if">
        {fits.map(({ format, verdict, text }) => {
          const shares = page.precision?.find((entry) => entry.format === format.name);
          const run = shares ? overRun(shares) : "";
          return (
            <li key={format.name}>
              <Icon shape={run && verdict === "fits" ? "warning" : SHAPE[verdict]} />
              <b>{format.name}</b>
              <RangeBar measure={finite} format={format} domain={domain} width={140} />
              <span>
                {text}
                {run && <small class="muted">; over the run {run}</small>}
              </span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

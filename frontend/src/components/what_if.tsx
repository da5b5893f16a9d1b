import type { OpPage } from "../model/api";
import { dataDomain } from "../model/ruler";
import { type Fit, fitOf } from "../model/what_if";
import { Icon, type Shape } from "./icons";
import { RangeBar } from "./range_bar";

const SHAPE: Record<Fit["verdict"], Shape> = {
  fits: "ok",
  loses: "warning",
  overflows: "error",
  vanishes: "error",
};

/** How the result, as it was measured, would fare in each other format. */
export function WhatIf({ page }: { page: OpPage }) {
  const { measure } = page.result;
  if (measure === null) return null;
  const fits = Object.values(page.formats).flatMap((format) => {
    const fit = format.name === page.op.dtype ? null : fitOf(measure, format);
    return fit ? [fit] : [];
  });
  if (fits.length === 0) return null;
  return (
    <details class="what-if">
      <summary>The result in other formats</summary>
      <ul>
        {fits.map(({ format, verdict, text }) => (
          <li key={format.name}>
            <Icon shape={SHAPE[verdict]} />
            <b>{format.name}</b>
            <RangeBar
              measure={measure}
              format={format}
              domain={dataDomain([{ measure, format }])}
              width={140}
            />
            <span>{text}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}

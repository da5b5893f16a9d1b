import { useAnswer, useApp } from "../context";
import type { Finding, OpPage } from "../model/api";
import { Link, opState } from "./link";
import { Ruler, RulerLegend, RulerZoom } from "./ruler";

/** The ruler of a finding's op at the step that its sentence tells of. */
export function EvidenceRuler({ finding }: { finding: Finding }) {
  const { state } = useApp();
  const { value } = useAnswer<OpPage>("op", {
    run: state.run,
    session: state.session,
    op: finding.op.key,
    step: finding.step,
  });
  return (
    <section class="evidence">
      <header class="head">
        <h3>The numbers at step {value?.step ?? finding.step}, on a scale of powers of two</h3>
        <span class="tools">
          <RulerZoom />
          <Link class="button" to={opState(finding.op, finding.step)}>
            Show the evidence
          </Link>
        </span>
      </header>
      {value ? (
        <>
          <Ruler page={value} />
          <RulerLegend />
        </>
      ) : (
        <div class="evidence-picture" />
      )}
    </section>
  );
}

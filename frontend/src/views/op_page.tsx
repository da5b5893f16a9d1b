import { EventsTable } from "../components/events_table";
import { CertaintyTag, Chain, FindingTools, FixAdvice, Foreseen } from "../components/finding_parts";
import { Heat } from "../components/heat";
import { Icon, SEVERITY_NAME } from "../components/icons";
import { OpLink, OpName } from "../components/link";
import { Neighbours } from "../components/neighbours";
import { NumbersTable } from "../components/numbers_table";
import { PageTitle } from "../components/page_title";
import { Ruler, RulerLegend, RulerZoom } from "../components/ruler";
import { Stack } from "../components/source_line";
import { Failure, Waiting } from "../components/states";
import { StepChoice } from "../components/step_choice";
import { Trend } from "../components/trend";
import { WhatIf } from "../components/what_if";
import { useAnswer, useApp } from "../context";
import type { Finding, OpPage } from "../model/api";
import { prose, shape, stepRange } from "../model/format";

/** Everything about one op at one step. */
export function OpPageView() {
  const { state } = useApp();
  const { value, error } = useAnswer<OpPage>("op", {
    run: state.run,
    session: state.session,
    op: state.op,
    step: state.step,
  });
  if (error) return <Failure error={error} />;
  if (value === null) return <Waiting what="Looking at the op" />;
  return (
    <>
      <OpHead page={value} />
      <RulerCard page={value} />
      {value.findings.map((finding) => (
        <OpFinding key={finding.rule} finding={finding} />
      ))}
      <div class="columns">
        <div class="stack">
          <section class="card" aria-labelledby="events-title">
            <h2 id="events-title">Events</h2>
            <EventsTable page={value} />
          </section>
          <section class="card" aria-labelledby="trend-title">
            <h2 id="trend-title">Headroom over the steps</h2>
            <Trend page={value} />
          </section>
        </div>
        <div class="stack">
          <WhatIf page={value} />
          <section class="card" aria-labelledby="heat-title">
            <h2 id="heat-title">Magnitudes over the steps</h2>
            <Heat page={value} />
          </section>
        </div>
      </div>
      <Neighbours page={value} />
    </>
  );
}

/** The picture of the page: what went in, what came out, and what that did to the numbers. */
function RulerCard({ page }: { page: OpPage }) {
  const { source } = useApp();
  return (
    <section class="card" aria-labelledby="ruler-title">
      <header class="head">
        <h2 id="ruler-title">Operands and result</h2>
        <span class="tools">
          <StepChoice
            step={page.step}
            asked={page.asked_step}
            steps={page.trend.steps}
            fixed={!source.live}
          />
          <RulerZoom />
        </span>
      </header>
      <Ruler page={page} />
      {page.interaction && (
        <p class="interaction">
          {prose(page.interaction.text)} <CertaintyTag certainty={page.interaction.certainty} />
        </p>
      )}
      <RulerLegend />
      <NumbersTable page={page} />
    </section>
  );
}

function OpHead({ page }: { page: OpPage }) {
  const { op } = page;
  const facts = [
    op.dtype,
    shape(op.shape),
    op.layer && `layer ${op.layer}`,
    op.variable && `op ${op.name}`,
    op.looped && "runs in a loop",
    op.returned && "returned by the step",
    op.role,
  ].filter(Boolean);
  return (
    <header class="op-head">
      <PageTitle key={op.key}>
        <OpName op={op} />
      </PageTitle>
      <p class="muted">
        {facts.join(" · ")}
        {op.gradient_of && (
          <>
            {" "}
            of <OpLink op={op.gradient_of} step={page.step} />
          </>
        )}
      </p>
      <Stack frames={op.frames} />
    </header>
  );
}

function OpFinding({ finding }: { finding: Finding }) {
  return (
    <article class={`card finding finding-${finding.severity}`}>
      <header class="finding-head">
        <Icon shape={finding.severity} size={20} label={SEVERITY_NAME[finding.severity]} />
        <div>
          <h2>{prose(finding.title)}</h2>
          <p>
            {prose(finding.summary)}{" "}
            <span class="muted">({stepRange(finding.first_step, finding.last_step)})</span>
          </p>
          {finding.forecast && <p class="forecast">Forecast: {prose(finding.forecast)}</p>}
        </div>
        <FindingTools finding={finding} />
      </header>
      <Foreseen finding={finding} />
      <div class="finding-body">
        <Chain finding={finding} />
        <FixAdvice fix={finding.fix} />
      </div>
    </article>
  );
}

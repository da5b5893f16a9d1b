import { CertaintyTag } from "../components/finding_parts";
import { OpLink } from "../components/link";
import { PageTitle } from "../components/page_title";
import { firstOf, Paging } from "../components/paging";
import { RangeBar } from "../components/range_bar";
import { EmptyState, Failure, Waiting } from "../components/states";
import { StepChoice } from "../components/step_choice";
import { useAnswer, useApp } from "../context";
import type { Certainty, Effect, Interaction, Interactions } from "../model/api";
import { baseName, plural, power, prose, toNumber } from "../model/format";
import { dataDomain } from "../model/ruler";

/** Rows the server hands out at once. */
const PAGE = 100;
const BAR = 220;

const EFFECTS: Record<Effect, string> = {
  absorbed: "absorbed",
  cancelled: "cancelled",
  vanishes: "vanishes",
  overflows: "overflows",
  none: "no effect",
};

const CERTAINTIES: Record<Certainty, string> = { proven: "proven", event: "counted", possible: "possible" };

/** Operands of very different scale at one step, and what their gap does. */
export function InteractionsView() {
  const { state, source } = useApp();
  const { value, error } = useAnswer<Interactions>("interactions", {
    run: state.run,
    session: state.session,
    step: state.step,
    effect: state.filters.effect,
    certainty: state.filters.certainty,
    first: firstOf(state.filters),
  });
  if (error) return <Failure error={error} />;
  if (value === null) return <Waiting what="Measuring the gaps" />;
  return (
    <section class="card" aria-labelledby="interactions-title">
      <header class="card-head">
        <div>
          <PageTitle id="interactions-title">Disparate scales</PageTitle>
          <p class="muted">
            Ops whose operands lie a significand or more apart, or whose result lost something of one of them.
          </p>
        </div>
        <StepChoice step={value.step} asked={value.asked_step} steps={value.steps} />
      </header>
      {source.live && <Filters counts={value.counts} />}
      {value.interactions.length > 0 ? <GapTable value={value} /> : <NoGaps value={value} />}
      <Paging
        what="Interactions"
        first={value.first}
        shown={value.interactions.length}
        total={value.total}
        size={PAGE}
      />
    </section>
  );
}

function NoGaps({ value }: { value: Interactions }) {
  const filtered = value.counts.length > 0;
  return (
    <EmptyState title={filtered ? "Nothing of this kind at this step" : "No disparate scales"} shape="ok">
      {!filtered && <p>At step {value.step} all operands that met were of similar size.</p>}
    </EmptyState>
  );
}

function Filters({ counts }: { counts: Interactions["counts"] }) {
  const { state, go } = useApp();
  const choose = (name: string, choice: string) =>
    go({ filters: { ...state.filters, [name]: choice, first: "" } });
  const sum = (take: (c: Interactions["counts"][number]) => boolean) =>
    counts.filter(take).reduce((total, c) => total + c.count, 0);
  return (
    <p class="filters">
      <label>
        Effect{" "}
        <select value={state.filters.effect ?? ""} onChange={(e) => choose("effect", e.currentTarget.value)}>
          <option value="">all</option>
          {Object.entries(EFFECTS).map(([effect, name]) => (
            <option key={effect} value={effect}>
              {name} ({sum((c) => c.effect === effect)})
            </option>
          ))}
        </select>
      </label>
      <label>
        Certainty{" "}
        <select
          value={state.filters.certainty ?? ""}
          onChange={(e) => choose("certainty", e.currentTarget.value)}
        >
          <option value="">all</option>
          {Object.entries(CERTAINTIES).map(([certainty, name]) => (
            <option key={certainty} value={certainty}>
              {name} ({sum((c) => c.certainty === certainty)})
            </option>
          ))}
        </select>
      </label>
    </p>
  );
}

function GapTable({ value }: { value: Interactions }) {
  return (
    <div class="scroll">
      <table class="table gaps">
        <thead>
          <tr>
            <th scope="col">Op</th>
            <th scope="col">Ranges of its operands</th>
            <th scope="col" class="number">
              Gap
            </th>
            <th scope="col">What it does</th>
          </tr>
        </thead>
        <tbody>
          {value.interactions.map((interaction) => (
            <GapRow key={interaction.op.key} value={value} interaction={interaction} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function GapRow({ value, interaction }: { value: Interactions; interaction: Interaction }) {
  const { op, operands, effect, certainty, text } = interaction;
  const rows = operands.map(({ op: { dtype }, measure }) => ({ measure, format: value.formats[dtype] }));
  const domain = dataDomain(rows);
  return (
    <tr>
      <th scope="row">
        <OpLink op={op} step={value.step} />
        <br />
        <small class="muted">
          {op.source && `${baseName(op.source.file)}:${op.source.line}`} {op.layer}
        </small>
      </th>
      <td>
        {rows.map((row, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: first and second operand.
          <div class="gap-bar" key={i} title={operands[i]?.op.name}>
            <RangeBar {...row} domain={domain} width={BAR} />
            <small class="muted">
              {row.measure?.max_exp == null ? "" : `up to ${power(row.measure.max_exp)}`}
            </small>
          </div>
        ))}
      </td>
      <td class="number nowrap">{plural(toNumber(interaction.gap), "bit")}</td>
      <td>
        <span class="gap-effect">
          <b>{EFFECTS[effect]}</b> <CertaintyTag certainty={certainty} />
        </span>
        <p>{prose(text)}</p>
      </td>
    </tr>
  );
}

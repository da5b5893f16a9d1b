import { CertaintyTag } from "../components/finding_parts";
import { OpLink } from "../components/link";
import { PageTitle } from "../components/page_title";
import { firstOf, Paging } from "../components/paging";
import { RangeBar } from "../components/range_bar";
import { EmptyState, Failure, Waiting } from "../components/states";
import { StepChoice } from "../components/step_choice";
import { useAnswer, useApp } from "../context";
import { CERTAINTY_NAME } from "../model/finding";
import { place, plural, power, prose, toNumber } from "../model/format";
import type { Effect, Interaction, InteractionKind, Interactions } from "../model/interactions";
import { dataDomain } from "../model/ruler";

/** Rows the server hands out at once. */
const PAGE = 100;
const BAR = 220;

const KINDS: Record<InteractionKind, string> = {
  sum: "sums",
  product: "products",
  quotient: "quotients",
  dot: "matrix products",
  update: "updates of variables",
};

const EFFECTS: Record<Effect, string> = {
  absorbed: "absorbed",
  cancelled: "cancelled",
  vanishes: "vanishes",
  overflows: "overflows",
  none: "no effect",
};

/** What the list can be narrowed by: the parameter, its name for people, and the names of its choices. */
const FILTERS = [
  { by: "kind", title: "Where", choices: KINDS },
  { by: "effect", title: "Effect", choices: EFFECTS },
  { by: "certainty", title: "Certainty", choices: CERTAINTY_NAME },
] as const;

/** Operands of very different scale at one step, and what their gap does. */
export function InteractionsView() {
  const { state, source } = useApp();
  // A report holds the whole list only.
  const { kind, effect, certainty } = source.live ? state.filters : {};
  const { value, error } = useAnswer<Interactions>("interactions", {
    run: state.run,
    session: state.session,
    step: state.step,
    kind,
    effect,
    certainty,
    first: firstOf(state.filters),
  });
  if (error) return <Failure error={error} />;
  if (value === null) return <Waiting what="Measuring the gaps" />;
  return (
    <section class="card" aria-labelledby="interactions-title">
      <header class="head">
        <div>
          <PageTitle id="interactions-title">Disparate scales</PageTitle>
          <p class="muted">
            Where numbers of very different size meet: operands further apart than their format has digits, or
            a result that lost something of one of them. Not all of it does harm: what does is on the
            overview.
          </p>
        </div>
        <StepChoice step={value.step} asked={value.asked_step} steps={value.steps} fixed={!source.live} />
      </header>
      {source.live && value.counts.length > 0 && <Filters counts={value.counts} />}
      {value.interactions.length > 0 ? <GapTable value={value} /> : <NoGaps value={value} />}
      <Paging
        what="Ops"
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
      {!filtered && (
        <p>
          At step {value.step} no operation with two operands had them that far apart, and none lost one of
          them.
        </p>
      )}
    </EmptyState>
  );
}

function Filters({ counts }: { counts: Interactions["counts"] }) {
  const { state, go } = useApp();
  const choose = (by: string, choice: string) =>
    go({ filters: { ...state.filters, [by]: choice, first: "" } });
  const found = (by: keyof Interactions["counts"][number], choice: string) =>
    counts.reduce((sum, entry) => (entry[by] === choice ? sum + entry.count : sum), 0);
  return (
    <p class="filters">
      {FILTERS.map(({ by, title, choices }) => (
        <label key={by}>
          {title}{" "}
          <select value={state.filters[by] ?? ""} onChange={(e) => choose(by, e.currentTarget.value)}>
            <option value="">all</option>
            {Object.entries(choices).map(([choice, name]) => (
              <option key={choice} value={choice}>
                {name} ({found(by, choice)})
              </option>
            ))}
          </select>
        </label>
      ))}
    </p>
  );
}

function GapTable({ value }: { value: Interactions }) {
  return (
    <div class="scroll">
      <table class="table cards gaps">
        <thead>
          <tr>
            <th scope="col">Op</th>
            <th scope="col">Ranges of its operands</th>
            <th scope="col">Gap</th>
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
  const { op, operands, effect, certainty, expected, text } = interaction;
  const rows = operands.map(({ op: { dtype }, measure }) => ({ measure, format: value.formats[dtype] }));
  const domain = dataDomain(rows);
  return (
    <tr class={expected && "gap-expected"}>
      <th scope="row">
        <OpLink op={op} step={value.step} />
        <br />
        <small class="muted">
          {op.source && place(op.source)} {op.layer}
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
      <td class="nowrap">{plural(toNumber(interaction.gap), "bit")} apart</td>
      <td>
        <span class="gap-effect">
          <b>{EFFECTS[effect]}</b> <CertaintyTag certainty={certainty} />
        </span>
        <p>{prose(text)}</p>
      </td>
    </tr>
  );
}

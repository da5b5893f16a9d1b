import { Icon, STATUS_SHAPE } from "../components/icons";
import { Link, OpLink } from "../components/link";
import { PageTitle } from "../components/page_title";
import { RangeBar } from "../components/range_bar";
import { RunList, type RunsProps, runName } from "../components/run_list";
import { EmptyState, Failure, Waiting } from "../components/states";
import { useAnswer, useApp } from "../context";
import type { ComparedOp, Comparison, Measure } from "../model/api";
import { count, place, plural, prose } from "../model/format";
import { dataDomain } from "../model/ruler";

const BAR = 200;

/** Two runs: how each is doing, and the ops where they part, the first first. */
export function CompareView({ runs, verdicts }: RunsProps) {
  const { state } = useApp();
  const others = runs.filter((run) => run.name !== state.run);
  if (others.length === 0) {
    return (
      <EmptyState title="There is nothing to compare with">
        <p>Log another run into the same log folder, for example with another precision, or after a fix.</p>
      </EmptyState>
    );
  }
  return (
    <section class="card" aria-labelledby="compare-title">
      <header class="head">
        <PageTitle id="compare-title">
          Compare {runName(state.run ?? "")}
          {state.against !== null && ` with ${runName(state.against)}`}
        </PageTitle>
        {state.against !== null && (
          <Link class="button" to={{ against: null }}>
            Choose another run
          </Link>
        )}
      </header>
      {state.against === null ? <Choices runs={others} verdicts={verdicts} /> : <Compared />}
    </section>
  );
}

/** The runs there are, to choose from. */
function Choices({ runs, verdicts }: RunsProps) {
  return (
    <>
      <p class="muted">
        Ops are aligned by layer and order; those that part first come first. Choose the other run:
      </p>
      <RunList runs={runs} verdicts={verdicts} to={(against) => ({ against })} />
    </>
  );
}

function Compared() {
  const { state } = useApp();
  const { value, error } = useAnswer<Comparison>("compare", {
    run: state.run,
    session: state.session,
    against: state.against,
  });
  if (error) return <Failure error={error} />;
  if (value === null) return <Waiting what="Aligning the ops" />;
  const [here, there] = value.verdicts;
  return (
    <>
      <ul class="verdicts">
        {[
          { name: value.run, verdict: here },
          { name: value.against, verdict: there },
        ].map(({ name, verdict }) => (
          <li key={name}>
            <Icon shape={STATUS_SHAPE[verdict.status]} label={verdict.status} />
            <p>
              <b>{name}</b> {prose(verdict.text)}
            </p>
          </li>
        ))}
      </ul>
      <p class="muted">
        {plural(value.aligned, "op")} in both, {count(value.only_here)} only in {value.run},{" "}
        {count(value.only_there)} only in {value.against}; {plural(value.common_steps, "step")} measured in
        both.
      </p>
      {value.ops.length > 0 ? <PartedOps comparison={value} /> : <Together comparison={value} />}
    </>
  );
}

function Together({ comparison }: { comparison: Comparison }) {
  return (
    <p>
      {comparison.common_steps === 0
        ? "The two runs have no measured step in common."
        : "They never part: no op differs by 4 bits or more, in NaN and ∞, or in lost additions."}
    </p>
  );
}

function PartedOps({ comparison }: { comparison: Comparison }) {
  const [first] = comparison.ops;
  return (
    <>
      <p class="parting">
        They part first at step {first?.step}
        {first && (
          <>
            : <OpLink op={first.op} step={first.step} />
          </>
        )}
        .
      </p>
      <div class="scroll">
        <table class="table cards">
          <thead>
            <tr>
              <th scope="col" class="number">
                Step
              </th>
              <th scope="col">Op</th>
              <th scope="col">Range in {comparison.run}</th>
              <th scope="col">Range in {comparison.against}</th>
              <th scope="col">What differs in {comparison.run}</th>
            </tr>
          </thead>
          <tbody>
            {comparison.ops.map((op) => (
              <PartedOp key={op.op.key} comparison={comparison} op={op} />
            ))}
          </tbody>
        </table>
      </div>
      {comparison.parted > comparison.ops.length && (
        <p class="muted">and {count(comparison.parted - comparison.ops.length)} more that part later.</p>
      )}
    </>
  );
}

function PartedOp({ comparison, op }: { comparison: Comparison; op: ComparedOp }) {
  const formats = [comparison.formats[op.op.dtype], comparison.formats[op.twin.dtype]] as const;
  const domain = dataDomain([
    { measure: op.here, format: formats[0] },
    { measure: op.there, format: formats[1] },
  ]);
  return (
    <tr>
      <td class="number" data-head="Step">
        {op.step}
      </td>
      <th scope="row">
        <OpLink op={op.op} step={op.step} />
        <br />
        <small class="muted">{op.op.source && place(op.op.source)}</small>
      </th>
      <td data-head={comparison.run}>
        <RangeBar measure={op.here} format={formats[0]} domain={domain} width={BAR} />
      </td>
      <td data-head={comparison.against}>
        <RangeBar measure={op.there} format={formats[1]} domain={domain} width={BAR} />
      </td>
      <td>{difference(op, comparison)}</td>
    </tr>
  );
}

function difference({ reason, here, there }: ComparedOp, { run, against }: Comparison): string {
  const onlyIn = (amount: (measure: Measure) => number) =>
    (here ? amount(here) : 0) > (there ? amount(there) : 0) ? run : against;
  if (reason === "nonfinite") return `NaN or ∞ in ${onlyIn((m) => m.nan + m.pos_inf + m.neg_inf)} only`;
  if (reason === "absorbed")
    return `most additions lost in ${onlyIn((m) => (m.absorbed ?? 0) / (m.operands || 1))} only`;
  const bits = (here?.max_exp ?? 0) - (there?.max_exp ?? 0);
  return `${plural(Math.abs(bits), "bit")} ${bits > 0 ? "larger" : "smaller"}`;
}

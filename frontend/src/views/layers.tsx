import { LayerChart, type NamedKind, NonFiniteKey } from "../components/layer_chart";
import { PageTitle } from "../components/page_title";
import { firstOf, Paging } from "../components/paging";
import { PrecisionCard } from "../components/precision_card";
import { EmptyState, Failure, NoStepYet, Waiting } from "../components/states";
import { StepChoice } from "../components/step_choice";
import { useAnswer, useApp } from "../context";
import type { LayerKind, Layers } from "../model/api";
import { power } from "../model/format";
import { exponentDomain, KINDS, pointAt, updateGap } from "../model/layers";
import type { Domain } from "../model/ruler";

/** Layers the server hands out at once. */
const PAGE = 24;

/** Activations, gradients, weights and updates of each layer on one exponent axis. */
export function LayersView() {
  const { state } = useApp();
  const { value, error } = useAnswer<Layers>("layers", {
    run: state.run,
    session: state.session,
    first: firstOf(state.filters),
  });
  if (error) return <Failure error={error} />;
  if (value === null) return <Waiting what="Collecting the layers" />;
  if (value.steps.length === 0) return <NoStepYet />;
  return (
    <>
      <PageTitle>Layers and training</PageTitle>
      <PrecisionCard />
      {value.layers.length > 0 ? <LayerCards layers={value} /> : <NoLayers />}
      <Paging what="Layers" first={value.first} shown={value.layers.length} total={value.total} size={PAGE} />
    </>
  );
}

function NoLayers() {
  return (
    <EmptyState title="No layer to show">
      <p>Layers come from Keras. Ops of a hand-written training step are on the health map.</p>
    </EmptyState>
  );
}

function LayerCards({ layers }: { layers: Layers }) {
  const { state } = useApp();
  const domain = exponentDomain(layers);
  const at = pointAt(layers.steps, state.step);
  const step = layers.steps[at] ?? 0;
  return (
    <>
      <header class="head">
        <div>
          <h2>Largest magnitude of each layer, step by step</h2>
          <ul class="legend">
            {KINDS.map((kind) => (
              <li key={kind}>
                <svg width={26} height={10} aria-hidden="true">
                  <path class={`curve curve-${kind}`} d="M1 5H25" />
                </svg>{" "}
                {kind}
              </li>
            ))}
            <NonFiniteKey />
          </ul>
        </div>
        <StepChoice step={step} asked={step} steps={layers.steps} />
      </header>
      <div class="layers">
        {layers.layers.map((layer) => (
          <LayerCard key={layer.name} layers={layers} layer={layer} domain={domain} at={at} />
        ))}
      </div>
    </>
  );
}

interface LayerCardProps {
  layers: Layers;
  layer: Layers["layers"][number];
  domain: Domain;
  at: number;
}

function LayerCard({ layers, layer, domain, at }: LayerCardProps) {
  const shown: NamedKind[] = KINDS.flatMap((name) => {
    const kind = layer.kinds[name];
    return kind ? [{ name, kind }] : [];
  });
  const gap = updateGap(layer.kinds, at, layers.formats);
  return (
    <section class="card layer">
      <h2>{layer.name}</h2>
      <LayerChart kinds={shown} domain={domain} steps={layers.steps} at={at} />
      <div class="scroll">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">
                <span class="offscreen">Kind</span>
              </th>
              <th scope="col">Step {layers.steps[at]}</th>
              <th scope="col">Over the run</th>
            </tr>
          </thead>
          <tbody>
            {shown.map(({ name, kind }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{largest(kind, at)}</td>
                <td>{range(kind)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {gap && <p class="muted">{gap}</p>}
    </section>
  );
}

function largest({ max_exp, nonfinite }: LayerKind, at: number): string {
  const exponent = max_exp[at] ?? null;
  return (
    [exponent === null ? null : power(exponent), nonfinite[at] ? "NaN or ∞" : null]
      .filter(Boolean)
      .join(", ") || "–"
  );
}

function range({ lowest, highest }: LayerKind): string {
  return highest === null || lowest === null ? "–" : `${power(lowest)} … ${power(highest)}`;
}

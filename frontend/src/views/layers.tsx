import { PageTitle } from "../components/page_title";
import { firstOf, Paging } from "../components/paging";
import { EmptyState, Failure, Waiting } from "../components/states";
import { useWidth } from "../components/use_width";
import { useAnswer, useApp } from "../context";
import type { KindName, LayerKind, Layers } from "../model/api";
import { power } from "../model/format";
import { curve, exponentDomain, fits, KINDS } from "../model/layers";
import type { Domain } from "../model/ruler";

const CHART_HEIGHT = 120;
const AXIS = 46;
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
  if (value.layers.length === 0) {
    return (
      <EmptyState title="No layer to show">
        <p>Layers come from Keras. Ops of a hand-written training step are on the health map.</p>
      </EmptyState>
    );
  }
  const domain = exponentDomain(value);
  return (
    <>
      <header class="page-head">
        <PageTitle>Layers and training</PageTitle>
        <p class="muted">
          Largest magnitude at each step, as a power of two. All charts have the same scale.
        </p>
        <ul class="legend">
          {KINDS.map((kind) => (
            <li key={kind}>
              <svg width={26} height={10} aria-hidden="true">
                <path class={`curve curve-${kind}`} d="M1 5H25" />
              </svg>{" "}
              {kind}
            </li>
          ))}
        </ul>
      </header>
      <div class="layers">
        {value.layers.map((layer) => (
          <LayerCard key={layer.name} layers={value} layer={layer} domain={domain} />
        ))}
      </div>
      <Paging what="Layers" first={value.first} shown={value.layers.length} total={value.total} size={PAGE} />
    </>
  );
}

interface LayerCardProps {
  layers: Layers;
  layer: Layers["layers"][number];
  domain: Domain;
}

function LayerCard({ layers, layer, domain }: LayerCardProps) {
  const [ref, width] = useWidth<HTMLDivElement>();
  const shown = KINDS.flatMap((name) => {
    const kind = layer.kinds[name];
    return kind ? [{ name, kind }] : [];
  });
  return (
    <section class="card layer">
      <h2>{layer.name}</h2>
      <div ref={ref}>
        {width > AXIS && <LayerChart kinds={shown} domain={domain} width={width} steps={layers.steps} />}
      </div>
      <div class="scroll">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Largest to smallest</th>
              <th scope="col">Magnitudes</th>
              <th scope="col">In float16</th>
              <th scope="col">In bfloat16</th>
            </tr>
          </thead>
          <tbody>
            {shown.map(({ name, kind }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>
                  {kind.highest === null || kind.lowest === null
                    ? "–"
                    : `${power(kind.lowest)} … ${power(kind.highest)}`}
                  {kind.nonfinite.some(Boolean) && " and NaN or ∞"}
                </td>
                <td>{fits(kind, layers.formats.float16)}</td>
                <td>{fits(kind, layers.formats.bfloat16)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

interface LayerChartProps {
  kinds: { name: KindName; kind: LayerKind }[];
  domain: Domain;
  width: number;
  steps: number[];
}

function LayerChart({ kinds, domain, width, steps }: LayerChartProps) {
  const field = width - AXIS;
  const y = (exponent: number) =>
    CHART_HEIGHT - ((exponent - domain.lo) / (domain.hi - domain.lo)) * CHART_HEIGHT;
  return (
    <svg class="layer-chart" width={width} height={CHART_HEIGHT + 20} aria-hidden="true">
      {[domain.hi, Math.round((domain.lo + domain.hi) / 2), domain.lo].map((exponent) => (
        <g key={exponent}>
          <path class="grid" d={`M${AXIS} ${y(exponent)}H${width}`} />
          <text x={AXIS - 6} y={Math.min(Math.max(y(exponent) + 4, 10), CHART_HEIGHT)} text-anchor="end">
            {power(exponent)}
          </text>
        </g>
      ))}
      <g transform={`translate(${AXIS} 0)`}>
        {kinds.map(({ name, kind }) => (
          <path key={name} class={`curve curve-${name}`} d={curve(kind.max_exp, y, field)} />
        ))}
        {kinds.map(({ name, kind }) =>
          kind.nonfinite.map(
            (bad, i) =>
              bad && (
                // biome-ignore lint/suspicious/noArrayIndexKey: points have no name but their place.
                <path key={`${name}${i}`} class="bad-tick" d={`M${((i + 0.5) / steps.length) * field} 0v6`} />
              ),
          ),
        )}
      </g>
      <text x={AXIS} y={CHART_HEIGHT + 15}>
        step {steps[0]}
      </text>
      <text x={width} y={CHART_HEIGHT + 15} text-anchor="end">
        step {steps.at(-1)}
      </text>
    </svg>
  );
}

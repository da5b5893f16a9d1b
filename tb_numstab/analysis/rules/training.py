"""How a network is built and what its layers do: nothing here is a numerical fault by itself."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis.columns import Columns, Floats, Power
from tb_numstab.analysis.finding import Certainty, Fix, Severity
from tb_numstab.analysis.graph import Mask, Slots
from tb_numstab.analysis.guards import Guards
from tb_numstab.analysis.narrate import variable_name
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.patterns import never, structural
from tb_numstab.analysis.rules.rule import Rule, Stage
from tb_numstab.schema.ops import Role

DRIFT = 10
"""Bits that activations may grow or shrink from the first layer to the last. In 50 healthy trainings at most 7."""

VANISHING = 2.0**-20
"""Root mean square of the first kernel's gradient over the largest of any kernel, where the first hardly learns.
In 50 healthy trainings at least 2^-16, that of attention's query kernels."""

FAR = 4
"""Bits between a batch's variance and the moving one."""

SATURATED = 2.0**-7
"""Root mean square of the gradient behind a sigmoid or tanh over that before it, where nearly all is flat.
In 50 healthy trainings at least 2^-2.1."""


def _is_relu(g: Guards, slot: int) -> bool:
    site = g.graph.sites[slot]
    return site.op_type in ("Relu", "Relu6") and site.role is Role.FORWARD and bool(g.differentiated[slot])


def _dead(o: Ops) -> Mask:
    """No unit of a ReLU layer is active for any example: no gradient passes."""
    return np.asarray((o.out.size > 1) & (o.out.zero == o.out.size))


def _passed(o: Ops) -> Floats:
    """Share of the gradient's size that passes a sigmoid or tanh."""
    return np.asarray(o.out.rms / o.y.rms, np.float64)


def _saturated(o: Ops) -> Mask:
    """Nearly no gradient passes an activation between two layers. At the end of a network that is convergence."""
    hidden = o.anatomy.hidden
    return np.asarray(o.x_among(hidden) & (_passed(o) < SATURATED))


def _saturation_figures(o: Ops, index: int) -> dict[str, float]:
    arguments = Columns.of(o.table, o.graph.x[o.x_slots[index : index + 1]])
    return {"passed": Power(np.log2(_passed(o)[index])), "arguments": Power(np.log2(arguments.rms[0]))}


def _drift(o: Ops) -> Floats:
    """Bits that activations grow by, layer by layer."""
    products, inputs, _ = o.anatomy.layers
    return np.diff(np.log2(np.append(Columns.of(o.table, inputs[:1]).rms, Columns.of(o.table, products).rms)))


def _drifting(o: Ops) -> Mask:
    """The layer that does most to make activations grow, or shrink, through the whole network at the first step."""
    products = o.anatomy.layers[0]
    if o.memory.course.records > 1 or len(products) < 3:
        return never(o)
    bits = _drift(o)
    total = bits.sum()
    # A layer that starts at 0 on purpose gives no finite total.
    drifts = np.isfinite(total) and abs(total) >= DRIFT and np.mean(np.sign(bits) == np.sign(total)) >= 0.75
    return o.among(o.graph.as_mask([products[np.argmax(bits * np.sign(total))]] if drifts else []))


def _drift_figures(o: Ops, index: int) -> dict[str, float | str]:
    bits, (products, _, kernels) = _drift(o), o.anatomy.layers
    own = int(np.flatnonzero(products == o.slots[index])[0])
    site = o.graph.sites[kernels[own]]
    inputs = np.prod((site.shape or ())[:-1], dtype=np.float64)
    return {
        "layers": float(len(bits)),
        "total": float(bits.sum()),
        "own": float(bits[own]),
        "kernel": variable_name(site),
        "size": float(Columns.of(o.table, kernels[own : own + 1]).rms[0]),
        "inputs": float(inputs),
        "wanted": float(np.sqrt(2 / inputs)),
    }


def _symmetric(o: Ops) -> Mask:
    """Two layers in a row whose kernels start with the same number everywhere: their units never differ."""
    kernels = o.anatomy.layers[2]
    rows = Columns.of(o.table, kernels)
    equal = (rows.min == rows.max) & (rows.size > 1) & (o.memory.course.records == 1)
    second = [i for i in range(1, len(kernels)) if equal[i - 1] and equal[i] and o.anatomy.follows(i)]
    return o.among(o.graph.as_mask(kernels[np.array(second, np.int64) - 1]))


def _guarded_root(o: Ops) -> Mask:
    """A literal is added to what a root is then taken of."""
    rooted = o.graph.as_mask(o.graph.x[o.graph.members("rsqrt", "sqrt")])
    return o.y_among(o.graph.role(Role.CONSTANT)) & o.among(rooted & o.graph.role(Role.FORWARD))


def _below_epsilon(o: Ops) -> Mask:
    """Every variance is far below epsilon."""
    return np.asarray((o.y.size == 1) & (o.x.min >= 0) & (o.x.max > 0) & (o.x.max < o.y.min / 16))


def _vanishing(o: Ops) -> Mask:
    """The kernel of an early layer gets next to no gradient, beside what a later one gets."""
    gradients = o.anatomy.kernel_gradients
    gradients = gradients[gradients >= 0]
    sizes = Columns.of(o.table, gradients).rms
    vanishing = (sizes > 0) & (sizes < VANISHING * np.nanmax(sizes, initial=0))
    return o.among(o.graph.as_mask(gradients[:1][vanishing[:1]]))


def _largest_gradient(o: Ops) -> float:
    gradients = o.anatomy.kernel_gradients
    return float(np.nanmax(Columns.of(o.table, gradients).rms))


def _moving(o: Ops) -> tuple[Slots, Slots]:
    """Of old * momentum + new * (1 - momentum): the slots of old and new."""
    return np.where(o.x_slots >= 0, o.graph.x[o.x_slots], -1), np.where(o.y_slots >= 0, o.graph.x[o.y_slots], -1)


def _apart(o: Ops) -> Floats:
    """Bits by which a batch's variance exceeds the moving one."""
    old, new = _moving(o)
    return np.asarray(np.log2(Columns.of(o.table, new).rms / Columns.of(o.table, old).rms), np.float64)


def _is_moving_variance(g: Guards, slot: int) -> bool:
    return any(
        g.graph.sites[c].role is Role.UPDATE and g.graph.sites[c].variable.endswith("moving_variance")
        for c in g.graph.consumers(slot)
    )


def _moving_variance_off(o: Ops) -> Mask:
    """The moving variance is far from the batch's, although it has had ten times its own time constant."""
    momentum = Columns.of(o.table, np.where(o.x_slots >= 0, o.graph.y[o.x_slots], -1)).max
    return np.asarray((o.memory.course.steps * (1 - momentum) >= 10) & (np.abs(_apart(o)) >= FAR))


RULES = (
    Rule(
        id="relu-layer-dead",
        title="A ReLU layer is inactive for every example",
        families=("clip",),
        where=structural(_is_relu),
        when=_dead,
        precondition="the result of a Relu that a gradient is taken through is 0 in every element",
        explain="{op} gives 0 in {out.zero:,.0f} of {out.size:,.0f} elements (its arguments reach {x.max:.3g}): no "
        "gradient passes it.",
        fix=Fix(
            "Lower the learning rate, start biases at 0, or let a small slope through.",
            'keras.layers.Dense(64, activation="relu")',
            'keras.layers.Dense(64, activation="leaky_relu")',
        ),
        source="SageMaker Debugger DeadRelu; AUTOTRAINER (ICSE 2021)",
        stage=Stage.STANDING,
        severity=Severity.INFO,
        patience=3,
    ),
    Rule(
        id="activation-saturated",
        title="A sigmoid or tanh is saturated",
        families=("saturating-grad",),
        when=_saturated,
        precondition="over 5 records the gradient behind a sigmoid or tanh is below 2^-7 of that before it (root mean "
        "squares), and another layer with a kernel follows",
        explain="{op} lets {n.passed} of the gradient through ({out.size:,.0f} elements): nearly every argument is "
        "where the function is flat. Results lie between {x.min:.3g} and {x.max:.3g}; the root mean square of the "
        "arguments is {n.arguments}, where 1 is about right.",
        figures=_saturation_figures,
        fix=Fix(
            "Normalise what goes into it, start with smaller weights, or use another activation.",
            'keras.layers.Dense(64, activation="tanh")(x)',
            'keras.layers.Activation("tanh")(keras.layers.LayerNormalization()(keras.layers.Dense(64)(x)))',
        ),
        source="SageMaker Debugger TanhSaturation; Glorot and Bengio 2010",
        stage=Stage.STANDING,
        severity=Severity.INFO,
        certainty=Certainty.POSSIBLE,
        patience=5,
    ),
    Rule(
        id="activations-drift",
        title="Activations grow or shrink from layer to layer",
        families=(),
        when=_drifting,
        precondition="at the first step the root mean square of the activations changes by a factor of 2^10 or more "
        "through three or more layers with kernels, three quarters of them in the same direction",
        explain="Through {n.layers:.0f} layers the activations change by 2^{n.total:.0f} at the first step; {op} "
        "changes them by 2^{n.own:.1f}. {n.kernel} starts with a root mean square of {n.size:.2g}; He's for its "
        "{n.inputs:.0f} inputs is {n.wanted:.2g}.",
        figures=_drift_figures,
        fix=Fix(
            "Initialise by the number of inputs (Glorot, He), or normalise between layers.",
            'keras.layers.Dense(256, "relu", kernel_initializer=keras.initializers.RandomNormal(stddev=1.0))',
            'keras.layers.Dense(256, "relu", kernel_initializer="he_normal")',
        ),
        source="Glorot and Bengio 2010; He et al. 2015; SageMaker Debugger PoorWeightInitialization",
        stage=Stage.STANDING,
        severity=Severity.WARNING,
        certainty=Certainty.EVENT,
        once=True,
    ),
    Rule(
        id="kernels-symmetric",
        title="Kernels start with the same number everywhere",
        families=(),
        when=_symmetric,
        precondition="at the first step two layers in a row have kernels whose elements are all equal",
        explain="All {out.size:,.0f} elements of {variable} start at {out.max:.3g}, and so does the next kernel: "
        "the units of this layer get the same gradient, and stay copies of each other.",
        fix=Fix(
            "Start kernels at random numbers; biases may start at 0.",
            'keras.layers.Dense(64, "relu", kernel_initializer="zeros")',
            'keras.layers.Dense(64, "relu", kernel_initializer="glorot_uniform")',
        ),
        source="Goodfellow et al. 2016, 8.4 (breaking symmetry)",
        stage=Stage.STANDING,
        severity=Severity.WARNING,
        once=True,
    ),
    Rule(
        id="variance-below-epsilon",
        title="Every variance is far below the epsilon of its normalisation",
        families=("add",),
        where=_guarded_root,
        when=_below_epsilon,
        precondition="over 5 records, in the variance + epsilon of a square root, every variance is below a sixteenth "
        "of epsilon, and one is above 0",
        explain="{op} adds an epsilon of {y.max:.3g} to variances of at most {x.max:.3g}: what is normalised keeps a "
        "scale far below 1. Inputs {n.factor:.0f} times as large would have variances of about 1.",
        figures=lambda o, i: {"factor": float(o.x.max[i]) ** -0.5},
        fix=Fix(
            "Scale the inputs up, or lower epsilon (not below 1e-7 in float16).",
            "keras.layers.LayerNormalization(epsilon=1e-3)",
            "keras.layers.LayerNormalization(epsilon=1e-6)",
        ),
        source="keras-team/keras#22586",
        stage=Stage.STANDING,
        severity=Severity.INFO,
        certainty=Certainty.PROVEN,
        patience=5,
    ),
    Rule(
        id="moving-variance-off",
        title="What evaluation normalises by is far from what training does",
        families=("add",),
        where=structural(_is_moving_variance),
        when=_moving_variance_off,
        precondition="over 3 records, after ten time constants 1 / (1 - momentum) of it, a moving_variance and the "
        "variance of the batch differ by a factor of 16 or more (root mean squares)",
        explain="The variance of the batch is 2^{n.apart:.1f} times the moving one that {op} keeps: it jumps from "
        "batch to batch, and evaluation will not do what training does.",
        figures=lambda o, i: {"apart": float(_apart(o)[i])},
        fix=Fix(
            "Look for outliers in the data, use larger batches, or normalise within each example.",
            "keras.layers.BatchNormalization()",
            "keras.layers.LayerNormalization()",
        ),
        source="Ioffe and Szegedy 2015; keras-team/keras#9965",
        stage=Stage.STANDING,
        severity=Severity.INFO,
        certainty=Certainty.EVENT,
        patience=3,
    ),
    Rule(
        id="gradient-vanishes",
        title="The first layer gets next to no gradient",
        families=(),
        when=_vanishing,
        precondition="over 10 records the root mean square of the first kernel's gradient is below 2^-20 of the "
        "largest of any kernel, and not 0",
        explain="{op}: the gradient of the first kernel has a root mean square of {out.rms:.3g}, where another one has "
        "{n.largest:.3g}.",
        figures=lambda o, i: {"largest": _largest_gradient(o)},
        fix=Fix(
            "Let the gradient around: residual connections, normalisation, an activation that does not saturate.",
            'h = keras.layers.Dense(64, activation="sigmoid")(h)',
            'h = h + keras.layers.Dense(64, activation="relu")(keras.layers.LayerNormalization()(h))',
        ),
        source="Hochreiter 1991; AUTOTRAINER (ICSE 2021): ratio of first to last layer below 1e-3",
        stage=Stage.STANDING,
        severity=Severity.INFO,
        certainty=Certainty.EVENT,
        patience=10,
        once=True,
    ),
)

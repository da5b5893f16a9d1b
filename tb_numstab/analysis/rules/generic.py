"""What holds for any op, for data and for variables."""

from __future__ import annotations

import re

import numpy as np

from tb_numstab.analysis.families import operand_positions
from tb_numstab.analysis.finding import Fix
from tb_numstab.analysis.graph import Mask, ordinal
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.patterns import never
from tb_numstab.analysis.rules.rule import Rule
from tb_numstab.schema.ops import OpSite

NONFINITE_INPUT = Rule(
    id="nonfinite-input",
    title="The data holds NaN or Inf",
    families=(),
    when=lambda o: o.out.nan + o.out.inf > 0,
    precondition="an argument of the watched function, or what it takes from a dataset, holds NaN or Inf, and it "
    "reaches a result",
    explain="{variable} holds {out.nonfinite}.",
    fix=Fix(
        "Clean the data, or drop such examples.",
        "dataset",
        "dataset.filter(lambda x, y: tf.reduce_all(tf.math.is_finite(x)) & tf.reduce_all(tf.math.is_finite(y)))",
    ),
    source="IEEE 754-2019 6.2",
)


def fix_of_data(site: OpSite) -> Fix:
    """The fix of NONFINITE_INPUT for one argument of the step, or one part of what a dataset gives."""
    finite = f"tf.reduce_all(tf.math.is_finite({site.variable}))"
    if not site.variable:
        return NONFINITE_INPUT.fix
    if site.op_type == "Placeholder":
        return Fix("Clean the data, or leave out such batches.", "train_step(...)", f"if {finite}: train_step(...)")
    part = re.match(r"element\[(\d+)\]", site.variable)
    text = f"{NONFINITE_INPUT.fix.text} An element is what the dataset gives"
    which = f", such as (x, y); element[{part[1]}] is its {ordinal(int(part[1]) + 1)} part." if part else "."
    parameter = "*element" if part else "element"
    return Fix(text + which, "dataset", f"dataset.filter(lambda {parameter}: {finite})")


NONFINITE_VARIABLE = Rule(
    id="nonfinite-variable",
    title="A variable was NaN or Inf before the step",
    families=(),
    when=lambda o: o.out.nan + o.out.inf > 0,
    precondition="a variable holds NaN or Inf when the step reads it, and it reaches a result",
    explain="{variable} held {out.nonfinite} before this step; no measured step has made it so.",
    fix=Fix(
        "Measure every step until it happens again. If it was so from the start, look at its initial value or at the "
        "checkpoint.",
        "watch(every=50)",
        "watch(every=1)",
    ),
    source="IEEE 754-2019 6.2",
)

NONFINITE_RECEIVED = Rule(
    id="nonfinite-received",
    title="NaN or Inf came from another worker",
    families=("collective",),
    when=lambda o: o.out.nan + o.out.inf > 0,
    precondition="the result of a collective op holds NaN or Inf, and what this worker sent did not",
    explain="{op} received {out.nonfinite}; what this worker sent was finite, up to {x.top}.",
    fix=Fix("Look at the same step of the other workers: each logs what it computed itself."),
    source="tf.distribute; IEEE 754-2019 6.2",
)

ORIGIN_UNKNOWN = Rule(
    id="nonfinite-step-not-reproduced",
    title="A step went NaN or Inf, and its origin is unknown",
    families=(),
    when=never,
    precondition="a result or a variable was NaN or Inf after a step, and the run of the step that was measured stayed "
    "finite; a product that is finite in one order only is named as the possible cause",
    explain="A result or a variable was not finite after this step. The run of it that was measured stayed finite: the "
    "step draws random numbers from a hidden state, or TensorFlow computes it in another order.",
    fix=Fix(
        "Draw random numbers that a second run draws too. Where nothing is random, look for products of very large and "
        "very small factors, which are finite in one order only.",
        "tf.random.normal(shape)",
        "tf.random.stateless_normal(shape, seed=(0, step))",
    ),
    source="IEEE 754-2019 6.2",
)


def _unmeasured(o: Ops) -> Mask:
    """Whether an operand has no row: what it held is not known."""
    binary = np.array([len(operand_positions(o.graph.sites[s].op_type)) > 1 for s in o.slots.tolist()], bool)
    several = np.array([len(o.graph.sites[s].inputs) > 1 for s in o.slots.tolist()], bool)
    return np.asarray(np.isnan(o.x.size) | (np.isnan(o.y.size) & binary & several))


SPECIAL = (
    Rule(
        id="polygamma-pole",
        title="Digamma or Lgamma at a pole",
        families=("polygamma",),
        when=lambda o: (o.out.nan + o.out.inf > 0) & (o.x.min <= 0),
        precondition="the operand of Digamma or Lgamma reaches 0 or less and the result is not finite",
        explain="{op} got arguments down to {x.min:.4g}; it has poles at 0, -1, -2, ...",
        blame="x.zero",
        fix=Fix(
            "Keep the argument above 0.",
            "tf.math.digamma(tf.nn.relu(z))",
            "tf.math.digamma(tf.nn.softplus(z) + 1e-6)",
        ),
        source="NIST Digital Library of Mathematical Functions 5.2",
    ),
    Rule(
        id="bessel-overflow",
        title="Modified Bessel function overflows",
        families=("bessel",),
        when=lambda o: o.out.inf > 0,
        precondition="the result of BesselI0 or BesselI1 holds Inf",
        explain="{op} got arguments of magnitude up to {x.magnitude:.4g}; it grows as exp(|x|) and leaves {f.name}.",
        blame="x.large",
        fix=Fix(
            "Use the exponentially scaled function, and add |x| to its logarithm.",
            "tf.math.log(tf.math.bessel_i0(x))",
            "tf.math.log(tf.math.bessel_i0e(x)) + tf.abs(x)",
        ),
        source="NIST Digital Library of Mathematical Functions 10.40",
    ),
)

GENERIC = (
    Rule(
        id="operand-not-measured",
        title="NaN, perhaps from an operand that was not measured",
        families=(),
        when=lambda o: (o.out.nan > 0) & _unmeasured(o),
        precondition="the result holds NaN, and one of the operands was not measured",
        explain="{op} gave NaN in {out.nan:,.0f} of {out.size:,.0f} elements. One of its operands was not measured; "
        "what was measured before this op is finite.",
        fix=Fix("Look at what this line computes with: an operand may be NaN or Inf already."),
        source="IEEE 754-2019 6.2",
    ),
    Rule(
        id="invalid-operation",
        title="NaN from operands without NaN",
        families=(),
        when=lambda o: o.out.nan > 0,
        precondition="no operand holds NaN and the result does",
        explain="{op} gave NaN in {out.nan:,.0f} of {out.size:,.0f} elements; its operand holds {x.extent}.",
        blame="larger.large",
        fix=Fix("Keep the op's operands inside its domain."),
        source="IEEE 754-2019 7.2",
    ),
    Rule(
        id="overflow",
        title="Inf from finite operands",
        families=(),
        when=lambda o: ~(o.out.nan > 0),  # with the rule above, whatever a damaged log holds
        precondition="no operand holds Inf and the result does",
        explain="{op} gave Inf in {out.inf:,.0f} of {out.size:,.0f} elements; its operand holds {x.extent}.",
        blame="larger.large",
        fix=Fix("Bound the op's operands."),
        source="IEEE 754-2019 7.4",
    ),
)

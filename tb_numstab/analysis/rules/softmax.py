"""Softmax, cross-entropy from logits, inverse trigonometric functions."""

from __future__ import annotations

from tb_numstab.analysis.finding import Fix
from tb_numstab.analysis.rules.rule import Rule

RULES = (
    Rule(
        id="softmax-all-masked",
        title="Softmax over a row that is -Inf everywhere",
        families=("softmax", "log-softmax"),
        when=lambda o: (o.x.neg_inf > 0) & (o.out.nan > 0),
        precondition="the logits hold -Inf and the result holds NaN",
        explain="{op} got -Inf in {x.neg_inf:,.0f} of {x.size:,.0f} logits; a row of nothing else gives 0/0: NaN in "
        "{out.nan:,.0f} elements.",
        blame="x.neg_inf",
        fix=Fix(
            "Mask with a large finite number (-6e4 in float16), so that a fully masked row stays finite.",
            "tf.where(mask, scores, -np.inf)",
            "tf.where(mask, scores, -1e9)",
        ),
        source="pytorch/pytorch#131060; allenai/allennlp#890; measured on TensorFlow 2.21",
    ),
    Rule(
        id="softmax-of-infinity",
        title="Softmax of an infinite logit",
        families=("softmax", "log-softmax"),
        when=lambda o: (o.x.pos_inf > 0) & (o.out.nan > 0),
        precondition="the logits hold +Inf and the result holds NaN",
        explain="{op} got +Inf in {x.pos_inf:,.0f} of {x.size:,.0f} logits: Inf/Inf = NaN.",
        blame="x.large",
        fix=Fix("Keep the logits finite.", "tf.nn.softmax(z)", "tf.nn.softmax(tf.clip_by_value(z, -1e4, 1e4))"),
        source="IEEE 754-2019 7.2",
    ),
    Rule(
        id="cross-entropy-masked-label",
        title="Cross-entropy of an infinite logit",
        families=("cross-entropy",),
        when=lambda o: o.x.inf > 0,
        precondition="the logits hold Inf and the result is not finite",
        explain="{op} got Inf in {x.inf:,.0f} of {x.size:,.0f} logits, one of them a label's.",
        blame="x.neg_inf",
        fix=Fix("Mask logits with a large finite number.", "tf.where(mask, z, -np.inf)", "tf.where(mask, z, -1e9)"),
        source="IEEE 754-2019 7.2",
    ),
    Rule(
        id="inverse-trig-domain",
        title="Outside the domain of an inverse function",
        families=("inverse-trig",),
        when=lambda o: o.out.nan + o.out.inf > 0,
        precondition="Acos, Asin, Atanh or Acosh gets an argument at or beyond the edge of its domain",
        explain="{op} got arguments from {x.min:.9g} to {x.max:.9g}, outside its domain or on its pole.",
        blame="x.large",
        fix=Fix(
            "Clip just inside the domain; at its edge the gradient is infinite too.",
            "tf.acos(x)",
            "tf.acos(tf.clip_by_value(x, -1 + 1e-6, 1 - 1e-6))",
        ),
        source="measured on TensorFlow 2.21",
    ),
)

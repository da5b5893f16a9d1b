import assert from "node:assert/strict";
import { test } from "node:test";
import type { Finding, OpRef } from "../src/model/api";
import { findingMarkdown } from "../src/model/markdown";

const OP: OpRef = {
  key: "Log:0",
  op_type: "Log",
  name: "Log",
  dtype: "float32",
  role: "forward",
  layer: "",
  group: "train_step()",
  variable: "",
  source: { file: "train.py", line: 38, function: "train_step", text: "loss = -tf.math.log(p)" },
};

const FINDING: Finding = {
  rule: "log-of-zero",
  title: "Logarithm of zero",
  severity: "error",
  certainty: "event",
  op: OP,
  first_step: 57,
  last_step: 79,
  count: 23,
  step: 57,
  summary: "Log got 1 zero.",
  why: [
    { op: OP, step: 57, text: "Softmax underflowed" },
    { op: OP, step: 20, text: "since step 20 a warning" },
  ],
  fix: { text: "Use one op.", before: "tf.math.log(p)", after: "tf.nn.log_softmax(z)" },
  forecast: "",
  numbers: {},
};

test("a finding holds all an issue needs", () => {
  assert.equal(
    findingMarkdown(FINDING, "run1", "http://host/#numstab"),
    `### Logarithm of zero (error, counted)

Log got 1 zero.

- Op: \`Log\`, float32
- Source: \`train.py:38\` in \`train_step\`
- Run: \`run1\`, steps 57–79

\`\`\`python
loss = -tf.math.log(p)
\`\`\`

**Why**, from the symptom down to the cause

1. Softmax underflowed

**Before**

- since step 20 a warning

**Fix**

Use one op.

\`\`\`diff
- tf.math.log(p)
+ tf.nn.log_softmax(z)
\`\`\`

[Open in TensorBoard](http://host/#numstab)
`,
  );
});

test("ops that passed it on take one line, another step is told", () => {
  const hop = (key: string, step = 57) => ({ op: { ...OP, key }, step, text: `${key} is NaN` });
  const why = [hop("Assign:0", 60), hop("Mul:0"), hop("Mul_1:0"), hop("Log:0"), hop("Exp:0")];
  const text = findingMarkdown({ ...FINDING, why }, "run1", "");
  assert.ok(
    text.includes("1. Assign:0 is NaN (step 60)\n2. 2 ops passed it on\n3. Log:0 is NaN\n4. Exp:0 is NaN\n"),
  );
});

test("names cannot break out of their code", () => {
  const named = { ...FINDING, op: { ...OP, name: "a`b", source: null } };
  assert.ok(findingMarkdown(named, "run1", "").includes("`` a`b ``"));
});

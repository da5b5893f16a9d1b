/** A finding as Markdown, ready to be pasted into an issue. */

import type { Finding, Hop } from "./api";
import { CERTAINTY_NAME, hopsOf, MANY_PASSED, storyOf } from "./finding";
import { codeLines, plural, stepRange } from "./format";

export function findingMarkdown(finding: Finding, run: string, link: string): string {
  const { op, fix } = finding;
  const name = op.name === op.op_type ? "" : ` ${code(op.name)}`;
  const lines = [
    `### ${finding.title} (${finding.severity}, ${CERTAINTY_NAME[finding.certainty]})`,
    "",
    finding.summary,
    "",
    `- Op: \`${op.op_type}\`${name}${op.layer ? `, layer ${code(op.layer)}` : ""}, ${op.dtype}`,
    `- Run: ${code(run)}, ${stepRange(finding.first_step, finding.last_step)}`,
  ];
  if (op.source) {
    lines.splice(
      5,
      0,
      `- Source: ${code(`${op.source.file}:${op.source.line}`)} in ${code(op.source.function)}`,
    );
  }
  if (op.source?.text) lines.push("", fenced("python", op.source.text));
  const why = whyLines(finding);
  if (why.length) {
    lines.push(
      "",
      "**Why**, from the symptom down to the cause",
      "",
      ...why.map((line, i) => `${i + 1}. ${line}`),
    );
  }
  const { foreseen } = hopsOf(finding);
  if (foreseen.length) lines.push("", "**Before**", "", ...foreseen.map((hop) => `- ${hop.text}`));
  lines.push("", "**Fix**", "", fix.text);
  if (fix.before || fix.after) {
    lines.push("", fenced("diff", [...prefixed("-", fix.before), ...prefixed("+", fix.after)].join("\n")));
  }
  if (finding.forecast) lines.push("", `Forecast: ${finding.forecast}`);
  lines.push("", `[Open in TensorBoard](${link})`, "");
  return lines.join("\n");
}

function whyLines(finding: Finding): string[] {
  const { symptom, between, cause } = storyOf(finding);
  const told = (hop: Hop) => (hop.step === finding.first_step ? hop.text : `${hop.text} (step ${hop.step})`);
  const passed =
    between.length < MANY_PASSED ? between.map(told) : [`${plural(between.length, "op")} passed it on`];
  return [...symptom.map(told), ...passed, ...cause.map(told)];
}

function prefixed(sign: string, text: string): string[] {
  return text ? codeLines(text).map((line) => `${sign} ${line}`) : [];
}

/** Inline code, whatever backticks the text holds itself. */
function code(text: string): string {
  return text.includes("`") ? `\`\` ${text} \`\`` : `\`${text}\``;
}

function fenced(language: string, text: string): string {
  const fence = text.includes("```") ? "````" : "```";
  return `${fence}${language}\n${text}\n${fence}`;
}

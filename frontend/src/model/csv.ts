/** Findings as a table that spreadsheets read (RFC 4180). */

import type { Finding } from "./api";

const COLUMNS: [name: string, value: (f: Finding) => string | number][] = [
  ["rule", (f) => f.rule],
  ["title", (f) => f.title],
  ["severity", (f) => f.severity],
  ["certainty", (f) => f.certainty],
  ["first_step", (f) => f.first_step],
  ["last_step", (f) => f.last_step],
  ["records", (f) => f.count],
  ["op_type", (f) => f.op.op_type],
  ["op", (f) => f.op.key],
  ["layer", (f) => f.op.layer],
  ["file", (f) => f.op.source?.file ?? ""],
  ["line", (f) => f.op.source?.line ?? ""],
  ["source", (f) => f.op.source?.text ?? ""],
  ["summary", (f) => f.summary],
  ["forecast", (f) => f.forecast],
  ["fix", (f) => f.fix.text],
];

export function findingsCsv(findings: readonly Finding[]): string {
  const rows = findings.map((finding) => COLUMNS.map(([, value]) => quoted(String(value(finding)))));
  return [COLUMNS.map(([name]) => name), ...rows].map((cells) => `${cells.join(",")}\r\n`).join("");
}

/** Quoted where commas, quotes or lines demand it; a leading sign of a formula is disarmed. */
function quoted(text: string): string {
  const safe = /^[=+@\t\r]/.test(text) || /^-[^\d]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

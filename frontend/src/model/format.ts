/** Numbers as people read them. */

import type { FloatFormat, Frame, Num } from "./api";

const SUPERSCRIPT = ["⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"];

/** 2 to the power of an exponent: 2⁻¹²⁶. */
export function power(exponent: number): string {
  return `2${superscript(exponent)}`;
}

function superscript(exponent: number): string {
  const digits = [...String(Math.abs(exponent))].map((digit) => SUPERSCRIPT[Number(digit)]);
  return `${exponent < 0 ? "⁻" : ""}${digits.join("")}`;
}

/** The decimal magnitude of 2 to an exponent, also far outside of what a double holds: "1e-38". */
export function decimal(exponent: number): string {
  const log10 = exponent * Math.log10(2);
  if (log10 > -3 && log10 < 4) return String(Number((2 ** exponent).toPrecision(2)));
  let ten = Math.floor(log10);
  let mantissa = Math.round(10 ** (log10 - ten));
  if (mantissa === 10) {
    mantissa = 1;
    ten += 1;
  }
  return `${mantissa}e${ten}`;
}

export function toNumber(value: Num): number {
  return typeof value === "number" ? value : Number(value);
}

/** A measured value with four significant digits. */
export function value(x: Num | null): string {
  if (x === null) return "–";
  const number = toNumber(x);
  if (Number.isNaN(number)) return "NaN";
  if (!Number.isFinite(number)) return number > 0 ? "∞" : "−∞";
  const size = Math.abs(number);
  const text =
    number !== 0 && (size < 1e-4 || size >= 1e6)
      ? number.toExponential(2)
      : String(Number(number.toPrecision(4)));
  return text.replace("-", "−").replace("e−", "e-").replace("e+", "e");
}

/** A count with its thousands apart, as the analysis writes them: 1,204,933. */
export function count(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** A share of a whole, never rounded to "0 %" or "100 %" when it is not. */
export function share(part: number, whole: number): string {
  if (whole === 0 || part === 0) return "0 %";
  if (part === whole) return "100 %";
  const percent = (100 * part) / whole;
  if (percent < 0.1) return "< 0.1 %";
  if (percent > 99.9) return "> 99.9 %";
  return `${Number(percent.toPrecision(percent > 99 ? 3 : 2))} %`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** A static shape as TensorFlow prints it: [?, 64]. */
export function shape(dims: number[] | null): string {
  return dims === null ? "unknown shape" : `[${dims.map((d) => (d < 0 ? "?" : d)).join(", ")}]`;
}

/** The file's own name: what fits into a line. */
export function baseName(path: string): string {
  return path.split(/[\\/]/).pop() ?? path;
}

/** "float16, float32 and float64". */
export function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** A source line as error messages name it: "train.py:38". */
export function place(frame: Frame): string {
  return `${baseName(frame.file)}:${frame.line}`;
}

/** The lines of a fix; statements on one line, such as two idioms side by side, get lines of their own. */
export function codeLines(code: string): string[] {
  return code.split(/\n|; /);
}

/** A step range: "step 57" or "steps 57–79". */
export function stepRange(first: number, last: number): string {
  return first === last ? `step ${first}` : `steps ${first}–${last}`;
}

/** How far a largest exponent is from overflow, in plain words. */
export function overflowRoom(maxExp: number, format: FloatFormat): string {
  return `${plural(format.max_exp - maxExp, "bit")} below overflow`;
}

const INFINITY: Record<string, string> = { Inf: "∞", "+Inf": "+∞", "-Inf": "−∞" };

/** A sentence of the analysis in the signs of this page: "2^-13" becomes 2⁻¹³, "E[x^2]" E[x²], "-Inf" −∞, "-1" −1. */
export function prose(text: string): string {
  return text
    .replace(/(?<=[\w\])])\^(-?\d+)\b/g, (_, exponent: string) => superscript(Number(exponent)))
    .replace(/(?<![\w.)\]-])-(?=\d)/g, "−")
    .replace(/(?<![\w.])[+-]?Inf\b/g, (infinity) => INFINITY[infinity] ?? infinity);
}

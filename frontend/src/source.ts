/** Where answers come from: TensorBoard's server, or a static report that carries them inside. */

export type Params = Record<string, string | number | null | undefined>;

export interface Source {
  /** False where the data cannot change and only some steps are there. */
  readonly live: boolean;
  /** Milliseconds after which an answer is about the records that are judged by then; null where all are. */
  readonly patience: number | null;
  get<T>(path: string, params?: Params): Promise<T>;
}

/** The code of a failure to reach the server at all. */
export const AWAY = 0;

/** A failure with a sentence that is fit to show. */
export class SourceError extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

/** A route and its parameters in the one order that embedded answers are filed under. */
export function routeKey(path: string, params: Params = {}): string {
  const query = Object.entries(params)
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`);
  return query.length ? `${path}?${query.join("&")}` : path;
}

/** TensorBoard: routes are relative to the page's base, data/plugin/numstab/. */
export class HttpSource implements Source {
  readonly live = true;
  readonly patience = 200;

  async get<T>(path: string, params?: Params): Promise<T> {
    const response = await fetch(routeKey(path, params)).catch(() => {
      throw new SourceError(AWAY, "TensorBoard does not answer. Is it still running?");
    });
    const body: unknown = await response.json().catch(() => null);
    if (!response.ok || body === null)
      throw new SourceError(response.status, messageOf(body, response.status));
    return body as T;
  }
}

/** A static report: answers by routeKey. A step it does not hold falls back to the page's own choice. */
export class EmbeddedSource implements Source {
  readonly live = false;
  readonly patience = null;

  constructor(private readonly answers: Record<string, unknown>) {}

  async get<T>(path: string, params: Params = {}): Promise<T> {
    const answer =
      this.answers[routeKey(path, params)] ?? this.answers[routeKey(path, { ...params, step: null })];
    if (answer === undefined) throw new SourceError(404, "This page is not part of the report.");
    return answer as T;
  }
}

function messageOf(body: unknown, status: number): string {
  const error = (body as { error?: { message?: string } } | null)?.error;
  return error?.message ?? `TensorBoard answered with status ${status}.`;
}

// Asks a running engine over HTTP, for stories: scores, posts, and waiting for what must come.

export interface Scores {
  readonly regions: readonly {
    readonly id: string;
    readonly risk: number;
    readonly failureProbability: number;
    readonly reasons: readonly string[];
    readonly confidence: number;
    readonly failing: boolean;
    readonly actual?: Readonly<Record<string, number | string>>;
    readonly forecast?: { readonly p50: number };
    readonly history?: readonly object[];
    readonly servers: readonly {
      readonly id: string;
      readonly actual?: Readonly<Record<string, number | string>>;
    }[];
    readonly accuracy: { readonly failure: { readonly scored: number } };
  }[];
  readonly shardGroups: readonly { readonly id: string }[];
  readonly routes: readonly { readonly id: string }[];
  readonly telemetry: { readonly accepted: number; readonly dropped: Readonly<Record<string, number>> };
}

export async function scoresOf(url: string, query = ''): Promise<Scores> {
  const response = await fetch(`${url}/risk_scores${query}`);
  return (await response.json()) as Scores;
}

export async function post(
  url: string,
  body: unknown,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

export async function until<T>(read: () => Promise<T | undefined>, what: string, ms = 30_000): Promise<T> {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    const value = await read().catch(() => undefined);
    if (value !== undefined) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what} did not come within ${ms} ms`);
}

// Instant queries to a Prometheus server (HTTP API v1, /api/v1/query) -> one value per region. The answer is
// checked like any stranger's; a series belongs to the region in its `region` label. Pure but for `ask`.

import { z } from 'zod';
import type { Fetcher, FetchLimits } from './bounded-fetch.ts';
import { boundsOf, METRIC_NAME, regionEntity, type Sample, serverEntity } from './sample.ts';

export interface PromQuery {
  readonly prometheus: string;
  /** Our name of the metric. */
  readonly metric: string;
  readonly query: string;
}

export type PromAnswer =
  | { readonly ok: true; readonly samples: readonly Sample[]; readonly skipped: number }
  | { readonly ok: false; readonly reason: string; readonly detail: string };

const vectorAnswer = z.object({
  status: z.literal('success'),
  data: z.object({
    resultType: z.literal('vector'),
    result: z.array(
      z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) }),
    ),
  }),
});
const errorAnswer = z.object({ status: z.literal('error'), error: z.string() });

// Series of one query: regions and their servers.
const MAX_SERIES = 5000;

export async function askPrometheus(
  fetcher: Fetcher,
  { prometheus, metric, query }: PromQuery,
  limits: FetchLimits,
): Promise<PromAnswer> {
  const url = `${prometheus.replace(/\/$/, '')}/api/v1/query?query=${encodeURIComponent(query)}`;
  const answer = await fetcher(url, limits);
  if (!answer.ok) return answer;
  return readPromAnswer(answer.text, metric);
}

/** Series without a region, with a value that is none, or beyond what the metric can be, are skipped. */
export function readPromAnswer(text: string, metric: string): PromAnswer {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { ok: false, reason: 'malformed', detail: 'the answer is not JSON' };
  }
  const failed = errorAnswer.safeParse(json);
  if (failed.success) return { ok: false, reason: 'query', detail: failed.data.error.slice(0, 200) };
  const parsed = vectorAnswer.safeParse(json);
  if (!parsed.success) {
    return { ok: false, reason: 'malformed', detail: 'the answer is no instant vector' };
  }
  const samples: Sample[] = [];
  const { result } = parsed.data.data;
  const { least, most } = boundsOf(metric);
  for (const { metric: labels, value } of result.slice(0, MAX_SERIES)) {
    const number = Number(value[1]);
    const at = value[0] * 1000;
    const isFit = number >= least && number <= most && Number.isFinite(at) && METRIC_NAME.test(metric);
    if (labels.region === undefined || labels.region === '' || !isFit) continue;
    const server = labels.server;
    const entity = server ? serverEntity(labels.region, server) : regionEntity(labels.region);
    samples.push({ entity, metric, at, value: number, source: '' });
  }
  return { ok: true, samples, skipped: result.length - samples.length };
}

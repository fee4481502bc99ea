// Drives a proxy with autocannon where wrk is missing: it comes with `npm ci`, but takes a core itself
// and knows latencies in whole milliseconds only. It runs in a process of its own, so that its loop and
// the bench's do not share a thread.

import type { Result } from 'autocannon';
import { runToEnd } from './child-process.ts';
import type { LoadOutcome, LoadRequest } from './load-generator.ts';

const PROGRAM = new URL('./autocannon-process.ts', import.meta.url).pathname;
const GRACE_MS = 20_000;

export function parseAutocannonOutput(stdout: string): LoadOutcome {
  const result = JSON.parse(stdout) as Result;
  return {
    kind: 'done',
    requests: result['2xx'] + result.non2xx,
    seconds: result.duration,
    p50Micros: result.latency.p50 * 1000,
    p99Micros: result.latency.p99 * 1000,
    errors: result.errors,
    badStatuses: result.non2xx,
  };
}

export async function runAutocannon(request: LoadRequest): Promise<LoadOutcome> {
  const outcome = await runToEnd(
    { command: process.execPath, args: [PROGRAM, JSON.stringify(request)] },
    request.seconds * 1000 + GRACE_MS,
  );
  return outcome.kind === 'failed' ? outcome : parseAutocannonOutput(outcome.stdout);
}

// The client of a run, a process of its own: sends each request when it is due, whatever became of those before, once
// and never again, and writes down what it saw of each.

import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { systemClock } from '../../src/core/clock.ts';
import { type PlannedRequest, trafficOf } from './traffic.ts';
import { type DriverSetup, KEY_HEADER, NUMBER_HEADER, SERVED_BY_HEADER, type SeenRequest } from './wire.ts';

const setup = JSON.parse(process.argv[2] ?? '{}') as DriverSetup;

/** Far beyond what counts as bad: a client's patience must not hide how long an answer would have taken. */
const GIVE_UP_MS = 3000;
const BODY = 'b'.repeat(512);

const pool = new Pool(setup.url, {
  pipelining: 1,
  connections: null,
  // Shorter than any proxy's: a connection that the proxy is about to close must not be chosen.
  keepAliveTimeout: 10_000,
  keepAliveMaxTimeout: 10_000,
});
const late: number[] = [];
const now = (): number => systemClock.monotonicMs() - setup.startMs;

async function send({ number, dueMs, key, method }: PlannedRequest): Promise<SeenRequest> {
  const seen = { number, dueMs, method, key };
  late.push(now() - dueMs);
  try {
    const { statusCode, headers, body } = await pool.request({
      method,
      path: '/orders',
      headers: {
        [KEY_HEADER]: key,
        ...(setup.file !== null && { [NUMBER_HEADER]: String(number) }),
        ...(method === 'POST' && { 'content-type': 'text/plain' }),
      },
      body: method === 'POST' ? BODY : null,
      signal: AbortSignal.timeout(GIVE_UP_MS),
    });
    await body.dump();
    const servedBy = String(headers[SERVED_BY_HEADER] ?? '');
    return { ...seen, status: statusCode, latencyMs: now() - dueMs, servedBy, failure: '' };
  } catch (error) {
    const { code, name } = error as { code?: string; name: string };
    return { ...seen, status: 0, latencyMs: now() - dueMs, servedBy: '', failure: code ?? name };
  }
}

const open: Promise<SeenRequest>[] = [];
for (const request of trafficOf(setup.incident, setup.seed)) {
  const wait = request.dueMs - now();
  if (wait > 0) await sleep(wait);
  open.push(send(request));
}
const requests = await Promise.all(open);
late.sort((a, b) => a - b);
const lateMs = late[Math.floor(late.length * 0.99)] ?? 0;
if (setup.file !== null) writeFileSync(setup.file, JSON.stringify({ requests, lateMs }));
await pool.destroy();

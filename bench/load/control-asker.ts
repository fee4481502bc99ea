// Thread of `control`: asks a control port at a constant rate and keeps streams open, between two messages. Apart from
// the sender, so that neither waits for the other; and at the lowest priority, because those who ask sit elsewhere in
// life: the cores that they share with the proxy here are no cost of the proxy's.

import { constants, setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';

export interface AskerPlan {
  readonly control: string;
  readonly perSecond: number;
  readonly streams: number;
}

export interface AskerCounts {
  readonly answered: number;
  readonly failed: number;
  /** Bytes that all streams together have told. */
  readonly streamed: number;
}

const PATHS = [
  '/regions',
  '/plan',
  '/risk_scores',
  '/event_tracing?limit=20',
  '/sharding_policies',
  '/metrics',
];
const STEP_MS = 20;

setPriority(constants.priority.PRIORITY_LOW);
const { control, perSecond, streams } = workerData as AskerPlan;
let stop: AbortController | undefined;
let ended: Promise<unknown> = Promise.resolve();
let counts = { answered: 0, failed: 0, streamed: 0 };

async function ask(path: string): Promise<void> {
  try {
    const answer = await fetch(control + path, { signal: AbortSignal.timeout(10_000) });
    await answer.arrayBuffer();
    if (answer.ok) counts.answered += 1;
    else counts.failed += 1;
  } catch {
    counts.failed += 1;
  }
}

async function watch(signal: AbortSignal): Promise<void> {
  try {
    const answer = await fetch(`${control}/stream`, { signal });
    for await (const chunk of answer.body!) counts.streamed += (chunk as Uint8Array).length;
  } catch (error) {
    if (!signal.aborted) counts.failed += 1;
    if (!(error instanceof Error)) throw error;
  }
}

async function askAtRate(signal: AbortSignal): Promise<void> {
  const from = performance.now();
  const running: Promise<void>[] = [];
  let asked = 0;
  while (!signal.aborted) {
    const due = Math.floor(((performance.now() - from) / 1000) * perSecond);
    while (asked < due) running.push(ask(PATHS[asked++ % PATHS.length]!));
    await sleep(STEP_MS);
  }
  await Promise.all(running);
}

parentPort!.on('message', (word: 'start' | 'stop' | 'end') => {
  if (word === 'end') return parentPort!.close();
  if (word === 'start') {
    counts = { answered: 0, failed: 0, streamed: 0 };
    stop = new AbortController();
    const { signal } = stop;
    ended = Promise.all([askAtRate(signal), ...Array.from({ length: streams }, () => watch(signal))]);
    return parentPort!.postMessage('started');
  }
  stop?.abort();
  void ended.then(() => parentPort!.postMessage(counts satisfies AskerCounts));
});

// What a trace costs: a request that is not kept, one that failed and is, and what a sampled decision adds.

import { performance } from 'node:perf_hooks';
import { regionIndex } from '../../src/core/ids.ts';
import { seededRandom } from '../../src/core/random.ts';
import { DecisionRecorder } from '../../src/proxy/decision-recorder.ts';
import { KeptTraces } from '../../src/proxy/kept-traces.ts';
import { RequestTrace } from '../../src/proxy/trace.ts';
import { decide, type Forward, idleContext } from '../../src/routing/decide.ts';
import { readUnverifiedClaim } from '../../src/routing/shard-key.ts';
import type { Case } from './cases.ts';
import { decidedWorld } from './cases.ts';
import type { Step } from './measure.ts';

export const traceCases: readonly Case[] = [
  { name: 'trace of a request that is not kept', bound: 0.3, prepare: () => offerStep(200, false) },
  // 3 % of a request of 40 us.
  { name: 'trace of a request that failed, 50 regions', bound: 1.2, prepare: () => offerStep(503, false) },
  { name: 'trace of a sampled request, with its decision', prepare: () => offerStep(200, true) },
];

function offerStep(status: number, isSampled: boolean): Step {
  const { snapshot, live, requests } = decidedWorld();
  const context = idleContext(seededRandom(1), readUnverifiedClaim, () => null);
  const recorder = new DecisionRecorder(context);
  const clock = { monotonicMs: () => performance.now(), wallMs: () => Date.now() };
  const traces = new KeptTraces(clock, 0, 1);
  const decided = requests.map((facts) => decide(snapshot, live, facts, context) as Forward);
  let i = 0;
  return () => {
    i += 1;
    const at = i & 1023;
    const trace = new RequestTrace('0123456789abcdef0123456789abcdef', 1000, 'GET', isSampled);
    trace.decision = decided[at]!;
    if (isSampled) {
      recorder.begin();
      const decision = decide(snapshot, live, requests[at]!, recorder.context);
      trace.inputs = recorder.inputsOf(decision, snapshot, live);
    }
    trace.status = status;
    trace.path = '/orders/17';
    trace.attempts.push({
      number: 1,
      region: regionIndex(7),
      server: 'http://127.0.0.1:9101',
      outcome: status,
      startedAt: 1000,
      durationMs: 1,
      retryCause: undefined,
      cause: undefined,
    });
    trace.firstAttemptAt = 1000;
    trace.endedAt = 1001;
    return traces.offer(trace, { snapshot, live });
  };
}

// Which traces a worker keeps, for how long, and that what it keeps of a decision is enough to make it again.

import fc from 'fast-check';
import t from 'tap';
import { regionIndex } from '../../src/core/ids.ts';
import { POLICY_KINDS } from '../../src/core/model.ts';
import { seededRandom } from '../../src/core/random.ts';
import { DecisionRecorder } from '../../src/proxy/decision-recorder.ts';
import { KeptTraces } from '../../src/proxy/kept-traces.ts';
import { RequestTrace } from '../../src/proxy/trace.ts';
import { traceRecord } from '../../src/proxy/trace-record.ts';
import { decide } from '../../src/routing/decide.ts';
import { HandClock } from '../rig/clock.ts';
import { decideAgain } from '../rig/replay.ts';
import { contextOf, factsOf, World } from '../rig/world.ts';

const config = (keep: number, slow = '1s'): Record<string, unknown> => ({ trace: { keep, slow } });

interface Ending {
  readonly id?: string;
  readonly status?: number;
  readonly attempts?: number;
  readonly isMoving?: boolean;
  readonly ms?: number;
  readonly isSampled?: boolean;
  readonly isHedged?: boolean;
}

function rig(parts: Record<string, unknown>, workers = 1) {
  const world = new World({ regions: [{ id: 'east' }, { id: 'west' }], parts });
  const clock = new HandClock();
  const traces = new KeptTraces(clock, 0, workers);
  const under = { snapshot: world.snapshot, live: world.live() };
  const end = (ending: Ending): void => {
    const { id = 'x', status = 200, attempts = 1, isMoving = false, ms = 1, isSampled = false } = ending;
    const { isHedged = false } = ending;
    const trace = new RequestTrace(id, clock.monotonicMs(), 'GET', isSampled);
    clock.pass(ms);
    Object.assign(trace, { status, isMoving, endedAt: clock.monotonicMs() });
    for (let i = 0; i < attempts; i++) {
      trace.attempts.push({
        number: i + 1,
        region: regionIndex(i % 2),
        server: 's',
        outcome: isHedged && i === 0 ? 'overtaken' : status,
        startedAt: trace.startedAt,
        durationMs: 1,
        retryCause: i === 0 ? undefined : isHedged ? 'hedge' : 'reset',
        cause: undefined,
      });
    }
    traces.offer(trace, under);
  };
  const ids = (query = {}): string[] => traces.find({ limit: 100, ...query }).map((one) => one.requestId);
  return { traces, clock, end, ids, under };
}

t.test('errors, retries, moved keys and slow requests are kept, the rest where it is sampled', async (t) => {
  const { end, ids, traces } = rig(config(100));
  end({ id: 'plain' });
  end({ id: 'sampled', isSampled: true });
  end({ id: 'failed', status: 503 });
  end({ id: 'retried', attempts: 2 });
  end({ id: 'hedged', attempts: 2, isHedged: true });
  end({ id: 'moved', isMoving: true });
  end({ id: 'slow', ms: 1000 });
  end({ id: 'tunnel', status: 101, ms: 60_000 });
  t.strictSame(ids().sort(), ['failed', 'moved', 'retried', 'sampled', 'slow']);
  for (const record of traces.find({ limit: 9 })) {
    const why = { failed: 'error', moved: 'moved', retried: 'retry', sampled: 'sample', slow: 'slow' };
    t.equal(record.keptFor, why[record.requestId as keyof typeof why], record.requestId);
  }
  const never = rig(config(0));
  never.end({ status: 503 });
  t.strictSame(never.ids(), [], 'trace.keep: 0 keeps none');
  const patient = rig(config(100, '0'));
  patient.end({ ms: 100_000 });
  t.strictSame(patient.ids(), [], 'trace.slow: 0 calls nothing slow');
});

t.test('what is kept is bounded, and a flood of one kind does not push out the others', async (t) => {
  const { end, ids } = rig(config(100), 2);
  end({ id: 'retried', attempts: 2 });
  for (let i = 0; i < 1000; i++) end({ id: `e${i}`, status: 500 });
  t.strictSame(
    ids({ keptFor: 'error' }),
    Array.from({ length: 15 }, (_, i) => `e${999 - i}`),
    '30 % of 100, of which this worker has half; newest first',
  );
  t.strictSame(ids({ requestId: 'retried' }), ['retried']);
  t.strictSame(ids({ requestId: 'e3' }), []);
  t.strictSame(ids({ keptFor: 'error', limit: 2 }), ['e999', 'e998']);
});

t.test('a request is found by the time of its end, in one of two times that join', async (t) => {
  const { end, ids, clock } = rig(config(100));
  const start = clock.wallMs();
  end({ id: 'long', status: 500, ms: 5000 });
  const middle = clock.wallMs();
  t.strictSame(ids({ keptWithin: [start, middle] }), []);
  t.strictSame(ids({ keptWithin: [middle, middle + 1] }), ['long']);
  t.strictSame(ids({ keptWithin: [middle + 1, middle + 2] }), []);
});

t.test('another trace.keep after a reload keeps the newest', async (t) => {
  const { end, ids, under } = rig(config(100));
  for (let i = 0; i < 50; i++) end({ id: `e${i}`, status: 500 });
  const settings = under.snapshot.settings as { traceKeep: number };
  settings.traceKeep = 10;
  end({ id: 'after', status: 500 });
  t.strictSame(ids(), ['after', 'e49', 'e48']);
  settings.traceKeep = 20;
  for (const id of ['a', 'b', 'c', 'd']) end({ id, status: 500 });
  t.strictSame(ids(), ['d', 'c', 'b', 'a', 'after', 'e49']);
});

t.test('traces are found by region, status, class and time', async (t) => {
  const { end, ids, clock } = rig(config(1000));
  end({ id: 'a', status: 500 });
  clock.pass(60_000);
  const later = clock.wallMs();
  end({ id: 'b', status: 502, attempts: 2 });
  end({ id: 'c', status: 200, attempts: 2 });
  t.strictSame(ids({ status: 502 }), ['b']);
  t.strictSame(ids({ status: { hundreds: 5 } }).sort(), ['a', 'b']);
  t.strictSame(ids({ since: later }).sort(), ['b', 'c']);
  t.strictSame(ids({ region: 'west' }).sort(), ['b', 'c']);
  t.strictSame(ids({ region: 'east', status: 200 }), ['c']);
});

t.test('a recorded decision, made again from its record, names the same region', async (t) => {
  const worlds = POLICY_KINDS.map((policy) => {
    const key = { from: [{ header: 'x-key' }] };
    return new World({
      regions: ['a', 'b', 'c'].map((id, i) => ({
        id,
        servers: 3,
        capacity: 100,
        weight: i + 1,
        location: { lat: i * 10, lon: 0 },
      })),
      routes: [{ policy, key }],
      parts: { region: 'b' },
      weights: { a: 1, b: 0.4, c: 3 },
    });
  });
  const cases = { regions: new Set<string>(), choices: new Set<string>() };
  fc.assert(
    fc.property(
      fc.constantFrom(...worlds),
      fc.option(fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme-ascii' }), { nil: undefined }),
      fc.array(fc.nat(3), { minLength: 3, maxLength: 3 }),
      fc.array(fc.double({ min: 0, max: 1.4, noNaN: true }), { minLength: 3, maxLength: 3 }),
      fc.integer(),
      (world, key, healthy, utilisation, seed) => {
        for (const [i, id] of ['a', 'b', 'c'].entries()) world.setHealthy(id, healthy[i]!);
        const live = world.live();
        const facts = factsOf({ fields: key === undefined ? [] : ['x-key', key] });
        const recorder = new DecisionRecorder(
          contextOf({ random: seededRandom(seed), utilisation: (region) => utilisation[region]! }),
        );
        // Twice: a round robin that stands somewhere already.
        for (let turn = 0; turn < 2; turn++) {
          recorder.begin();
          const decision = decide(world.snapshot, live, facts, recorder.context);
          const inputs = recorder.inputsOf(decision, world.snapshot, live);
          if (decision.kind !== 'forward') return decision.kind === 'refuse';
          const trace = new RequestTrace('x', 0, 'GET', true);
          Object.assign(trace, { decision, inputs });
          const stamp = { keptFor: 'sample', worker: 0, at: 0, keptAt: 0 } as const;
          const { decision: recorded } = traceRecord(trace, { snapshot: world.snapshot, live }, stamp);
          const again = decideAgain(
            world.snapshot,
            { inputs: recorded!.inputs!, regions: recorded!.regions },
            facts,
          );
          if (again.kind !== 'forward' || again.region !== decision.region) return false;
          cases.regions.add(recorded!.region);
          cases.choices.add(recorded!.choice);
          if (again.choice !== decision.choice || again.shard !== decision.shard) return false;
        }
        return true;
      },
    ),
    { numRuns: 500 },
  );
  t.equal(cases.regions.size, 3);
  t.strictSame([...cases.choices].sort(), ['failover', 'headroom', 'policy', 'spill']);
});

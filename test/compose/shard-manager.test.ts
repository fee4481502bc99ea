import fastify from 'fastify';
import t, { type Test } from 'tap';
import type { Engine } from '../../src/analytics/engine.ts';
import type { Sample } from '../../src/analytics/ingest/sample.ts';
import { obeyPlanCommand, planningReport } from '../../src/compose/plan-commands.ts';
import { PlanPolls } from '../../src/compose/plan-polls.ts';
import { ShardManager } from '../../src/compose/shard-manager.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { planCommandRoutes, planRoutes } from '../../src/control/api/plan.ts';
import type { Cause } from '../../src/control/desk-port.ts';
import type { EngineAsk } from '../../src/control/engine-port.ts';
import { decodeOwners, type Plan, validatePlan } from '../../src/plan/plan.ts';
import type { Logger } from '../../src/telemetry/logger.ts';
import { HandClock } from '../rig/clock.ts';

const IDS = ['a', 'b', 'c'];
const EVALUATION = 5000;

function configOf(mode: string): Config {
  return configSchema.parse({
    listen: [{ address: '127.0.0.1:0' }],
    sharding: { shards: 256, shiftPeriod: '1m' },
    pae: { mode, evaluateEvery: '5s', thresholds: { dwell: '1m' } },
    regions: IDS.map((id, i) => ({ id, servers: [`http://10.0.${i}.1:80`] })),
    routes: [{ id: 'all' }],
  });
}

/** An engine that says what it is told to say. */
class ToldEngine {
  readonly settings = { stepMs: EVALUATION };
  readonly risks = new Map<string, number>();
  acted: ReadonlySet<string> = new Set();

  *watches(): Generator<object> {
    for (const id of IDS) {
      const risk = this.risks.get(id) ?? 0;
      yield {
        entity: { kind: 'region', id },
        risk: { risk, failureProbability: risk, confidence: 0.9, anomaly: 0, reasons: [] },
        load: { p50: 80, p90: 100 },
        outlook: { p50: 80, p90: 100 },
        row: { values: new Map([['rps', 80]]) },
        capacity: { value: () => undefined },
        scores: { failure: { figures: () => ({ skill: undefined, scored: 0 }) } },
        outcome: { since: {} },
      };
    }
  }
  demandOutlook(): undefined {}
  setOwnership(): void {}
  setActed(acted: ReadonlySet<string>): void {
    this.acted = acted;
  }
}

interface Rig {
  readonly engine: ToldEngine;
  readonly clock: HandClock;
  readonly shards: ShardManager;
  readonly plans: Plan[];
  readonly counted: string[];
  /** Rounds at their pace. */
  pass(ms: number): void;
  weights(): Record<string, number>;
}

function start(t: Test, mode = 'auto', previous?: Plan, frozen = false): Rig {
  const engine = new ToldEngine();
  const clock = new HandClock();
  const plans: Plan[] = [];
  const counted: string[] = [];
  const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const shards = new ShardManager(
    configOf(mode),
    {
      engine: engine as unknown as Engine,
      clock,
      log: quiet as unknown as Logger,
      incarnation: previous === undefined ? '01JD0000000000000000000000' : '01JE0000000000000000000000',
      onPlan: (plan, isNew) => {
        if (isNew) plans.push(plan);
      },
      count: (metric, labels, by) => void counted.push([metric, ...labels, by].join(' ')),
    },
    previous,
    { frozen },
  );
  t.teardown(() => shards.close());
  shards.round();
  const pass = (ms: number): void => {
    for (let left = ms; left > 0; left -= EVALUATION) {
      clock.pass(Math.min(left, EVALUATION));
      shards.round();
    }
  };
  const weights = (): Record<string, number> =>
    Object.fromEntries(
      (shards.plan?.regions ?? []).map(({ id, weight }) => [id, Math.round(weight * 100) / 100]),
    );
  return { engine, clock, shards, plans, counted, pass, weights };
}

const FULL = { a: 1, b: 1, c: 1 };
const health = (region: string, healthy: number): Sample[] =>
  ['registered', 'healthy'].map(
    (metric) =>
      ({
        entity: { kind: 'region', id: region },
        metric,
        value: metric === 'registered' ? 2 : healthy,
        source: 'p1',
      }) as unknown as Sample,
  );

t.test('what the engine says becomes a plan, and the engine is told what was acted upon', async (t) => {
  const { engine, plans, counted, pass, weights } = start(t);
  t.equal(plans.length, 1);
  t.strictSame(weights(), FULL);
  engine.risks.set('a', 0.8);
  pass(EVALUATION);
  t.strictSame(weights(), { a: 0.1, b: 1, c: 1 });
  t.strictSame([...engine.acted], ['a']);
  t.match(counted, [/^foreshard_shard_moves_total risk 7\d$/]);
  pass(120_000);
  t.ok(plans.every((plan) => validatePlan(JSON.parse(JSON.stringify(plan))).ok));
  t.strictSame(
    plans.map(({ generation }) => generation),
    [1, 2, 3],
    'begun, ended: nothing between',
  );
});

t.test(
  'a region without a healthy server loses its shards at once, before the next evaluation',
  async (t) => {
    const { shards, plans } = start(t);
    shards.note(health('a', 2));
    t.equal(plans.length, 1);
    shards.note(health('a', 0));
    t.equal(plans.length, 2);
    t.notOk(decodeOwners(plans[1]!.tables[0]!.owners).includes(0));
    t.equal(plans[1]!.tables[0]!.shift, undefined);
  },
);

t.test('mode off makes no plan', async (t) => {
  const { shards, plans } = start(t, 'off');
  t.strictSame(plans, []);
  t.equal(obeyPlanCommand(shards, 'freeze', {}).status, 409);
  t.strictSame(planningReport(shards), { mode: 'off' });
});

t.test('a manager that starts again goes on with the plan, as frozen as it was', async (t) => {
  const first = start(t);
  first.engine.risks.set('a', 0.8);
  first.pass(120_000);
  const { owners } = first.shards.plan!.tables[0]!;
  const second = start(t, 'auto', first.shards.plan, true);
  second.pass(120_000);
  t.equal(second.shards.plan!.tables[0]!.owners, owners, 'frozen: the risk is gone, nothing moves');
  t.equal(second.shards.frozen, true);
  second.shards.setFrozen(false);
  second.pass(120_000);
  t.strictSame(second.weights(), FULL);
});

/** The control port's routes over a manager. */
function control(t: Test, rig: Rig) {
  const app = fastify();
  t.teardown(() => app.close());
  const polls = new PlanPolls();
  const waits: number[] = [];
  planRoutes(app, {
    plan: () => rig.shards.plan,
    planAfter: (ms) => {
      waits.push(ms);
      return polls.next(ms);
    },
    planAgeMs: () => 1234,
    longestWaitMs: () => 60_000,
  });
  const ask = async (question: EngineAsk) => {
    if (question.kind !== 'plan_command') throw new Error(question.kind);
    return obeyPlanCommand(rig.shards, question.command, question.body);
  };
  const noted: Cause[] = [];
  const note = async (cause: Cause) => void noted.push(cause);
  planCommandRoutes(app, () => ({ ask }), { note });
  const post = async (command: string, payload?: object) => {
    const answer = await app.inject({ method: 'POST', url: `/plan/${command}`, ...(payload && { payload }) });
    return { status: answer.statusCode, body: answer.json() };
  };
  return { app, polls, waits, post, noted };
}

t.test('freeze and unfreeze', async (t) => {
  const rig = start(t);
  const { post } = control(t, rig);
  t.match(await post('freeze'), { status: 200, body: { mode: 'auto', frozen: true } });
  rig.engine.risks.set('a', 0.8);
  rig.pass(120_000);
  t.strictSame(rig.weights(), FULL);
  const released = await post('unfreeze');
  t.match(released, { status: 200, body: { frozen: false, shifts: [{ table: 'all', phase: 'ramp' }] } });
  t.strictSame(rig.weights(), { a: 0.1, b: 1, c: 1 });
});

t.test('the audit log has who said what of which plan, and why; what was refused is not in it', async (t) => {
  const rig = start(t);
  const { post, noted } = control(t, rig);
  await post('accept');
  await post('freeze', { by: 'ann', reason: 'a release' });
  await post('rollback', { generation: 99 });
  await post('unfreeze');
  const plan = { generation: 1, weights: FULL };
  t.strictSame(noted, [
    {
      who: 'ann@127.0.0.1',
      what: 'plan.freeze',
      target: '1',
      from: { ...plan, frozen: false },
      to: { ...plan, frozen: true },
      why: 'a release',
    },
    {
      who: 'operator@127.0.0.1',
      what: 'plan.unfreeze',
      target: '1',
      from: { ...plan, frozen: true },
      to: { ...plan, frozen: false },
      why: '',
    },
  ]);
  t.match(await post('freeze', { reason: 7 }), { status: 400, body: { title: /^reason: / } });
});

t.test('accept takes what advisory mode proposes, once; elsewhere nothing waits for it', async (t) => {
  const rig = start(t, 'advisory');
  const { post } = control(t, rig);
  rig.engine.risks.set('a', 0.8);
  rig.pass(10_000);
  t.match(planningReport(rig.shards), { proposed: { a: 0.1 } });
  t.strictSame(rig.weights(), FULL);
  t.equal((await post('accept')).status, 200);
  t.strictSame(rig.weights(), { a: 0.1, b: 1, c: 1 });
  rig.engine.risks.set('a', 0.95);
  rig.pass(10_000);
  t.strictSame(rig.weights(), { a: 0.1, b: 1, c: 1 });
  const auto = await control(t, start(t)).post('accept');
  t.match(auto, { status: 409, body: { title: /nothing waits to be accepted: pae.mode is auto/ } });
});

t.test('rollback goes back to the weights before, or to those of a generation, and freezes', async (t) => {
  const rig = start(t);
  const { post } = control(t, rig);
  t.match(await post('rollback'), {
    status: 409,
    body: { title: /generation: must be one of 1, given none/ },
  });
  rig.engine.risks.set('a', 0.8);
  rig.pass(120_000);
  t.match(await post('rollback', { generation: 99 }), {
    status: 409,
    body: { title: /must be one of 1, 2/ },
  });
  t.match(await post('rollback', { generation: 'x' }), {
    status: 400,
    body: { title: 'generation: must be a whole number, given "x"' },
  });
  t.match(await post('rollback', {}), { status: 200, body: { frozen: true } });
  t.strictSame(rig.weights(), FULL);
  rig.pass(120_000);
  t.strictSame(rig.weights(), FULL, 'the next round does not undo it');
  t.match(await post('rollback', { generation: 2 }), { status: 200 });
  t.strictSame(rig.weights(), { a: 0.1, b: 1, c: 1 });
});

t.test('a long poll ends with the next plan and says how old its evaluation is', async (t) => {
  const rig = start(t);
  const { app, polls, waits } = control(t, rig);
  const first = await app.inject('/plan');
  t.equal(first.headers['foreshard-plan-age'], '1.234');
  t.equal(first.headers.etag, '"01JD0000000000000000000000.1"');
  const waiting = app.inject('/plan?after=01JD0000000000000000000000.1&wait=1h').then((answer) => answer);
  while (waits.length === 0) await new Promise(setImmediate);
  t.strictSame(waits, [60_000], 'cut to the longest wait');
  rig.engine.risks.set('a', 0.8);
  rig.pass(EVALUATION);
  polls.wake();
  t.equal((await waiting).json().generation, 2);
});

t.test('without an engine in this process a command says where to ask', async (t) => {
  const app = fastify();
  t.teardown(() => app.close());
  planCommandRoutes(app, () => undefined, { note: async () => void t.fail('nothing was done') });
  const answer = await app.inject({ method: 'POST', url: '/plan/freeze' });
  t.equal(answer.statusCode, 503);
  t.match(answer.json().title, /no engine runs in this process/);
});

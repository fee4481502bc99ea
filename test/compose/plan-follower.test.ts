import t from 'tap';
import { adoptPlan } from '../../src/plan/adopt-plan.ts';
import { decodeOwners } from '../../src/plan/plan.ts';
import { hashOfParts } from '../../src/routing/key-bytes.ts';
import { shardOf } from '../rig/placing-proxy.ts';
import { inPeace, ROUND_MS, type Rounds } from '../rig/rounds.ts';
import { ServingProxy } from '../rig/serving-proxy.ts';

const KEYS = Array.from({ length: 400 }, (_, i) => `user-${i * 104_729}`);
const shardOfKey = (key: string): number => shardOf(hashOfParts([Buffer.from(key)]).hi, 256);
const TTL = 120_000;
const MINUTE = 60_000;

/** One round of the engine, and what the proxy hears of it. */
function round(engine: Rounds, proxies: readonly ServingProxy[]): void {
  const { isNew, plan } = engine.pass(ROUND_MS);
  for (const proxy of proxies) {
    proxy.pass(ROUND_MS);
    if (isNew) proxy.hear(plan);
    else proxy.follower.renew(0);
  }
}

function ownersByTable(engine: Rounds): string[] {
  const owners = decodeOwners(engine.planned().owners);
  return KEYS.map((key) => engine.state.regionIds[owners[shardOfKey(key)]!]!);
}

t.test('an engine that is dead for ten minutes', async (t) => {
  const engine = inPeace();
  const proxy = new ServingProxy({ wallMs: engine.now });
  proxy.hear(engine.last.plan);
  engine.risk('a', 0.8);
  for (let i = 0; i < 20; i++) round(engine, [proxy]);
  const planned = proxy.serve(KEYS);
  t.strictSame(planned, ownersByTable(engine), 'in step before');
  const neutral = new Map(engine.planned().neutral);
  const homeOf = (key: string): string | undefined => {
    const home = neutral.get(shardOfKey(key));
    return home === undefined ? undefined : engine.state.regionIds[home];
  };
  const going = KEYS.filter((key) => homeOf(key) !== undefined).length;
  t.ok(going > 50, `${going} keys have another owner by base weights`);

  const gone = new Set<number>();
  const share: number[] = [];
  const wrong: string[] = [];
  for (let at = ROUND_MS; at <= 10 * MINUTE; at += ROUND_MS) {
    proxy.pass(ROUND_MS);
    proxy.serve(KEYS).forEach((region, i) => {
      const isAway = region !== planned[i];
      if (isAway && at < TTL) wrong.push(`${KEYS[i]} moved within the ttl, at ${at}`);
      if (isAway && region !== homeOf(KEYS[i]!)) wrong.push(`${KEYS[i]} went to ${region}`);
      if (!isAway && gone.has(i)) wrong.push(`${KEYS[i]} came back at ${at}`);
      if (isAway) gone.add(i);
    });
    if (at % (TTL / 4) === 0) share.push(gone.size / going);
  }
  t.strictSame(wrong, []);
  t.strictSame(share.slice(0, 4), [0, 0, 0, 0], 'one ttl long nothing moves');
  t.ok(share[4]! > 0.1 && share[4]! < 0.4, `a quarter of the next: ${share[4]}`);
  t.ok(share[5]! > 0.35 && share[5]! < 0.65, `a half: ${share[5]}`);
  t.ok(share[7] === 1 && share.at(-1) === 1, 'after one ttl all of them, and there they stay');
  t.equal(proxy.told.filter((line) => line.startsWith('the plan is stale')).length, 1, 'told once');
  t.equal(proxy.follower.ageMs(), 10 * MINUTE);

  engine.state = adoptPlan('01JE0000000000000000000000', engine.last.plan);
  engine.now = proxy.clock.wallMs();
  round(engine, [proxy]);
  proxy.pass(0);
  t.strictSame(proxy.serve(KEYS), planned, 'in step again at its first answer');
  t.match(proxy.told.at(-1), 'the engine is heard of again');
});

t.test('an engine that only says that nothing has changed keeps the plan fresh', async (t) => {
  const engine = inPeace();
  const proxy = new ServingProxy({ wallMs: engine.now });
  proxy.hear(engine.last.plan);
  for (let i = 0; i < 100; i++) round(engine, [proxy]);
  t.equal(proxy.cells.staleSince, Number.POSITIVE_INFINITY);
  proxy.pass(TTL - 1);
  t.equal(proxy.cells.staleSince, Number.POSITIVE_INFINITY);
  proxy.pass(1);
  t.equal(proxy.cells.staleSince, proxy.clock.monotonicMs());
});

t.test('an answer that is old itself renews nothing: an engine that hangs is as good as dead', async (t) => {
  const engine = inPeace();
  const proxy = new ServingProxy({ wallMs: engine.now });
  proxy.hear(engine.last.plan);
  for (let age = ROUND_MS; age <= TTL; age += ROUND_MS) {
    proxy.pass(ROUND_MS);
    proxy.follower.renew(age);
  }
  t.not(proxy.cells.staleSince, Number.POSITIVE_INFINITY);
});

t.test('a jump of the wall clock changes nothing', async (t) => {
  const engine = inPeace();
  const [steady, jumping] = [
    new ServingProxy({ wallMs: engine.now }),
    new ServingProxy({ wallMs: engine.now }),
  ];
  engine.risk('a', 0.8);
  for (let i = 0; i < 5; i++) {
    round(engine, [steady, jumping]);
    jumping.clock.jumpWall(i % 2 === 0 ? 3_600_000 : -86_400_000);
    t.strictSame(jumping.serve(KEYS), steady.serve(KEYS));
  }
  t.equal(jumping.cells.staleSince, Number.POSITIVE_INFINITY);
});

t.test('ten proxies on one engine serve every key alike at every moment of a shift', async (t) => {
  const engine = inPeace();
  const proxies = Array.from(
    { length: 10 },
    (_, i) => new ServingProxy({ wallMs: engine.now + i * 777, monotonicMs: 1000 + i * 1e7 }),
  );
  for (const proxy of proxies) proxy.hear(engine.last.plan);
  engine.risk('a', 0.8);
  const odd: string[] = [];
  const seen = new Set<string>();
  for (let i = 0; i < 30; i++) {
    engine.signals('b', i >= 4 && i < 11 ? { errorShare: 0.2 } : {});
    round(engine, proxies);
    seen.add(engine.table().shift?.phase ?? 'none');
    for (const ms of [0, 1700]) {
      for (const proxy of proxies) proxy.pass(ms);
      const answers = new Set(proxies.map((proxy) => proxy.serve(KEYS.slice(0, 150)).join()));
      if (answers.size > 1) odd.push(`${answers.size} opinions in round ${i}`);
      for (const proxy of proxies) proxy.clock.pass(-ms);
    }
  }
  t.strictSame(odd, []);
  t.ok(
    ['ramp', 'hold', 'revert', 'none'].every((phase) => seen.has(phase)),
    [...seen].join(),
  );
});

t.test(
  'a plan that cannot be used is refused whole, counted and told once; the last good one stays',
  async (t) => {
    const engine = inPeace();
    const proxy = new ServingProxy({ wallMs: engine.now });
    proxy.hear(engine.last.plan);
    const good = proxy.plan;
    engine.risk('a', 0.8).pass(ROUND_MS);
    const bad = { ...engine.last.plan, digest: '0'.repeat(64) };
    proxy.hear(bad);
    proxy.hear(bad);
    t.equal(proxy.plan, good);
    t.strictSame(proxy.counted, Array(2).fill('foreshard_plan_rejected_total invalid'));
    t.equal(proxy.told.length, 1);
    t.match(proxy.told[0], /plan refused, the one in force stays: digest: must be/);
    t.match(proxy.follower.refusal, /^digest/);
    const stranger = inPeace(['a', 'b', 'x']);
    stranger.state = { ...stranger.state, incarnation: '01JF0000000000000000000000' };
    stranger.pass(ROUND_MS);
    proxy.hear(stranger.last.plan);
    t.match(proxy.counted.at(-1), 'misfit');
    t.match(proxy.follower.refusal, 'regions: must be those of the configuration (a, b, c), given a, b, x');
    proxy.hear(engine.last.plan);
    t.equal(proxy.plan!.generation, engine.last.plan.generation);
    t.equal(proxy.follower.refusal, '');
  },
);

t.test('a proxy that follows no engine takes no plan and never calls one stale', async (t) => {
  const engine = inPeace();
  const proxy = new ServingProxy({ wallMs: engine.now, pae: { mode: 'shadow' } });
  proxy.hear(engine.last.plan);
  t.equal(proxy.plan, undefined);
  proxy.pass(10 * TTL);
  t.equal(proxy.cells.staleSince, Number.POSITIVE_INFINITY);
  t.equal(proxy.follower.ageMs(), 0);
});

t.test("after a change of source another engine's plan is taken, older or not", async (t) => {
  const engine = inPeace();
  const proxy = new ServingProxy({ wallMs: engine.now });
  proxy.hear(engine.last.plan);
  const other = inPeace(undefined, { incarnation: '01JA0000000000000000000000' });
  proxy.hear(other.last.plan);
  t.equal(proxy.follower.known, '01JD0000000000000000000000.1', 'an older incarnation is not newer');
  proxy.config = { ...proxy.config, pae: { ...proxy.config.pae, source: 'http://10.9.9.9:9400' } };
  proxy.follower.reload(proxy.config);
  t.equal(proxy.follower.known, undefined);
  proxy.hear(other.last.plan);
  t.equal(proxy.follower.known, '01JA0000000000000000000000.1');
});

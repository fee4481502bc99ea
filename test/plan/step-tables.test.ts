import fc from 'fast-check';
import t from 'tap';
import { seededRandom } from '../../src/core/random.ts';
import { decodeOwners } from '../../src/plan/plan.ts';
import type { AdminState, PlannerResult } from '../../src/plan/planner-types.ts';
import { ROUND_MS, Rounds } from '../rig/rounds.ts';

const IDS = ['a', 'b', 'c', 'd'];
const share = fc.constantFrom(0, 0, 0.2, 0.35, 0.6, 0.8, 0.95, 1);

/** What is known at one moment. */
const anyMoment = fc.record({
  risks: fc.tuple(share, share, share, share),
  health: fc.tuple(...IDS.map(() => fc.constantFrom(1, 1, 1, 1, 0.7, 0))),
  admin: fc.constantFrom<AdminState>('active', 'active', 'active', 'drain', 'maintenance'),
  errors: fc.tuple(...IDS.map(() => fc.constantFrom(0, 0, 0, 0.3))),
  demand: fc.integer({ min: 0, max: 450 }),
  isFrozen: fc.boolean(),
  isDistrusted: fc.constantFrom(false, false, false, true),
  loadSeed: fc.option(fc.integer({ min: 1, max: 1000 })),
  rounds: fc.integer({ min: 1, max: 8 }),
});
const anyHistory = fc.record({
  mode: fc.constantFrom('auto', 'auto', 'advisory', 'shadow' as const),
  notice: fc.constantFrom(0, 1, 999),
  evaluateEvery: fc.constantFrom(ROUND_MS, 1, 7013),
  moments: fc.array(anyMoment, { minLength: 1, maxLength: 10 }),
});
type History = typeof anyHistory extends fc.Arbitrary<infer T> ? T : never;

/** Lives a history; `look` sees every round. */
function live(
  { mode, notice, evaluateEvery, moments }: History,
  look: (result: PlannerResult, site: Rounds) => void,
): Rounds {
  const site = new Rounds(IDS, {
    critical: true,
    rules: { notice, evaluateEvery, shiftPeriod: 20_001, dwell: 9000 },
  });
  site.mode = mode;
  for (const id of IDS) site.say(id, { capacity: 100 });
  look(site.plan(), site);
  for (const moment of moments) {
    IDS.forEach((id, i) => {
      site.risk(id, moment.risks[i]!).say(id, { healthFactor: moment.health[i]! });
      site.signals(id, { errorShare: moment.errors[i]! });
    });
    site.say('d', { admin: moment.admin });
    site.demand = moment.demand;
    site.frozen = moment.isFrozen;
    site.score = { brierSkill: moment.isDistrusted ? -1 : 0.1, falseShiftsPerDay: 0, observedDays: 1 };
    const random = seededRandom(moment.loadSeed ?? 0);
    site.loads =
      moment.loadSeed === null ? undefined : Float64Array.from({ length: 256 }, () => random.next() ** 4);
    for (let i = 0; i < moment.rounds; i++) look(site.pass(evaluateEvery), site);
  }
  return site;
}

t.test('whatever happens, a plan is valid and gives nobody keys who can serve none', async (t) => {
  fc.assert(
    fc.property(anyHistory, (history) => {
      // A plan that proxies refuse throws in `Rounds.plan`.
      live(history, ({ plan }, site) => {
        const gone = IDS.flatMap((id, i) => (site.regions.get(id)!.healthFactor === 0 ? [i] : []));
        if (gone.length === IDS.length) return;
        for (const table of plan.tables) {
          const owners = decodeOwners(table.owners);
          const moving = new Map(table.shift?.moving);
          owners.forEach((owner, shard) => {
            const isLost = gone.includes(owner) || gone.includes(moving.get(shard) ?? -1);
            const isUseful = plan.regions.some(({ weight }, i) => weight > 0 && !gone.includes(i));
            if (isLost && isUseful) throw new Error(`shard ${shard} of ${table.id} is left in ${IDS[owner]}`);
          });
        }
      });
    }),
    { numRuns: 30 },
  );
  t.pass();
});

t.test('the same history gives the same digests', async (t) => {
  const digests = (history: History): string[] => {
    const all: string[] = [];
    live(history, ({ plan }) => all.push(`${plan.generation} ${plan.digest}`));
    return all;
  };
  fc.assert(
    fc.property(anyHistory, (history) => {
      const once = digests(history);
      return digests(history).join() === once.join();
    }),
    { numRuns: 8 },
  );
  t.pass();
});

t.test('once all is well again, every region has its base weight and its share of the keys', async (t) => {
  fc.assert(
    fc.property(anyHistory, (history) => {
      const site = live(history, () => undefined);
      IDS.forEach((id) => {
        site.risk(id, 0).say(id, { healthFactor: 1, admin: 'active' }).signals(id, {});
      });
      site.frozen = false;
      site.mode = 'auto';
      site.demand = 100;
      site.loads = undefined;
      site.score = { brierSkill: 0.1, falseShiftsPerDay: 0, observedDays: 1 };
      site.rules = { ...site.rules, evaluateEvery: ROUND_MS };
      site.pass(400_000);
      const counts = Object.values(site.owned());
      return (
        Object.values(site.weights).every((weight) => weight === 1) &&
        site.progress() === undefined &&
        // Where loads were measured, shares are of load.
        (history.moments.some(({ loadSeed }) => loadSeed !== null) ||
          counts.every((count) => Math.abs(count - 64) <= 5))
      );
    }),
    { numRuns: 20 },
  );
  t.pass();
});

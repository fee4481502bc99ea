// The total of many small groups wavers less than they do: what is expected in all must not be what each of them
// might be at its worst.

import t from 'tap';
import { newWatch } from '../../src/analytics/entity-watch.ts';
import { groupEntity, SHARD_GROUPS } from '../../src/analytics/ingest/sample.ts';
import { createModels } from '../../src/analytics/model-set.ts';
import { OwnedDemand } from '../../src/analytics/owned-demand.ts';
import type { Row } from '../../src/analytics/series-store.ts';
import { seededRandom } from '../../src/core/random.ts';

const MODELS = createModels({ stepMs: 1000, horizonMs: 10_000, horizonSteps: 10 });
const MEAN = 3;

/** Demand of `groups` groups after so many seconds of about three requests/s each, independent of each other. */
function afterSeconds(seconds: number): { readonly demand: OwnedDemand; readonly worst: number } {
  const random = seededRandom(5);
  const watches = new Map(
    Array.from({ length: SHARD_GROUPS }, (_, group) => {
      const entity = groupEntity(group);
      return [entity.key, newWatch(entity, MODELS.create(entity))] as const;
    }),
  );
  const demand = new OwnedDemand(MODELS, (key) => watches.get(key));
  for (let slot = 0; slot < seconds; slot++) {
    const rows: Row[] = [...watches.values()].map(({ entity }) => {
      const rps = Math.max(0, MEAN + 3 * (random.next() + random.next() - 1));
      return { entity, slot, at: (slot + 1) * 1000, values: new Map([['rps', rps]]) };
    });
    demand.push(rows);
    for (const { entity, values } of rows) {
      const watch = watches.get(entity.key)!;
      watch.models.demand!.push(values.get('rps')!);
      watch.outlook = watch.models.demand!.outlook();
    }
  }
  const worst = [...watches.values()].reduce((sum, { outlook }) => sum + outlook!.p90, 0);
  return { demand, worst };
}

t.test('the total is a series of its own, and a share of it is as sure as the total', async (t) => {
  const { demand, worst } = afterSeconds(120);
  const total = demand.total()!;
  const spread = total.p90 - MEAN * SHARD_GROUPS;
  t.ok(spread < (worst - MEAN * SHARD_GROUPS) / 2, `${total.p90} in all, ${worst} at everybody's worst`);
  demand.shares = new Map([['a', new Float64Array(SHARD_GROUPS).fill(0.5)]]);
  const half = demand.of('a')!;
  t.ok(Math.abs(half.p50 - total.p50 / 2) < 0.1 * total.p50);
  t.ok(half.p90 < worst / 2 - spread / 2, 'half of the groups go wrong together no more than all do');
});

t.test('what nobody measured, and a region that owns nothing, have no demand', async (t) => {
  const demand = new OwnedDemand(MODELS, () => undefined);
  t.equal(demand.total(), undefined);
  t.equal(demand.of('a'), undefined);
  demand.unmoved = new Map([['a', new Float64Array(SHARD_GROUPS).fill(1)]]);
  t.equal(demand.unmovedOf('a'), undefined);
});

// What a planning round is told of a region's failure: that it lasts, and whether its last requests showed it.

import t from 'tap';
import type { Engine } from '../../src/analytics/engine.ts';
import { plannerRegions } from '../../src/compose/planner-input.ts';
import { configSchema } from '../../src/config/schema.ts';

const config = configSchema.parse({
  listen: [{ address: '127.0.0.1:0' }],
  regions: [{ id: 'a', servers: ['http://10.0.0.1:80'] }],
  routes: [{ id: 'all' }],
});

/** Of a region whose last row is that of second 9. */
function failureOf(outcome: object): object {
  const watch = {
    entity: { kind: 'region', id: 'a' },
    row: { at: 9000, values: new Map([['rps', 80]]) },
    capacity: { value: () => undefined },
    outcome,
  };
  const engine = { settings: { stepMs: 1000 }, watches: () => [watch] } as unknown as Engine;
  const [region] = plannerRegions(engine, config, { healthyShare: () => 1 });
  return { isFailing: region!.isFailing, isErring: region!.isErring };
}

t.test('errors of the last row are told apart from those of earlier ones', async (t) => {
  const since = { failure: 5000 };
  t.strictSame(failureOf({ since, erredAt: 9000 }), { isFailing: true, isErring: true });
  t.strictSame(failureOf({ since, erredAt: 8000 }), { isFailing: true, isErring: false });
  t.strictSame(failureOf({ since: {}, erredAt: 9000 }), { isFailing: false, isErring: false });
});

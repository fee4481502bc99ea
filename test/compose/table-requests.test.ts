import t from 'tap';
import { basePlan } from '../../src/compose/base-plan.ts';
import { followsEngine, misfit, tableRequests } from '../../src/compose/table-requests.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { SharedTables } from '../../src/state/shared-tables.ts';

const tables = new SharedTables();
function configOf(routes: readonly object[], more: object = {}, ids = ['c', 'a', 'b']): Config {
  return configSchema.parse({
    listen: [{ address: '127.0.0.1:0' }],
    sharding: { shards: 64 },
    regions: ids.map((id, i) => ({ id, servers: [`http://10.0.${i}.1:80`] })),
    routes: routes.map((route, i) => ({ id: `r${i}`, match: { path: `/${i}/**` }, ...route })),
    ...more,
  });
}
const setsOf = (config: Config): string[] =>
  tableRequests(config, tables).map(({ regionIds, critical }) => regionIds.join() + (critical ? '!' : ''));
const planOf = (config: Config) =>
  basePlan(config, { previous: undefined }, tables, {
    incarnation: 'x',
    generation: 1,
    at: '2026-01-01T00:00:00.000Z',
  });

t.test(
  'one table for each distinct set of eligible regions, whoever lists them in whichever order',
  async (t) => {
    const routes = [{}, { regions: ['b', 'a'] }, { regions: ['a', 'b'] }, { residency: ['c'] }];
    t.strictSame(setsOf(configOf(routes)), ['a,b,c', 'a,b', 'c']);
  },
);

t.test('and a second one where requests may be critical', async (t) => {
  const routes = [
    { priority: 'critical' },
    { regions: ['a'], priority: { header: 'x-priority' } },
    { regions: ['b'] },
  ];
  t.strictSame(setsOf(configOf(routes)), ['a,b,c', 'a,b,c!', 'a', 'a!', 'b']);
});

t.test('a plan fits where it has the regions, a table for every set, and the number of shards', async (t) => {
  const config = configOf([{}, { regions: ['a', 'b'] }]);
  const plan = planOf(config);
  t.equal(misfit(plan, config), undefined);
  t.equal(misfit(plan, configOf([{}])), undefined, 'a table too many does no harm');
  t.match(misfit(plan, configOf([{ regions: ['c'] }])), /^tables: must have one for .*c.*, which a route/);
  t.match(
    misfit(plan, configOf([{}], {}, ['a', 'b'])),
    /^regions: must be those of the configuration \(a, b\), given a, b, c/,
  );
  t.match(
    misfit(plan, configOf([{}], { sharding: { shards: 128 } })),
    /^tables.all.shards: must be .*\(128\), given 64/,
  );
});

t.test('plans are followed in advisory and auto mode alone', async (t) => {
  const follows = (mode: string): boolean => followsEngine(configOf([{}], { pae: { mode } }));
  t.strictSame(['off', 'shadow', 'advisory', 'auto'].map(follows), [false, false, true, true]);
});

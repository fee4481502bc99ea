import fc from 'fast-check';
import t from 'tap';
import { MAX_SERVERS } from '../../src/core/model.ts';
import { type RegisteredServer, ServerRegistry } from '../../src/region/registry.ts';
import { LiveCells } from '../../src/state/live-cells.ts';

const server = (id: string, region = 'eu'): RegisteredServer => ({ id, origin: id, region });

t.test('a server that stays keeps its slot, also when it changes its region', async (t) => {
  const cells = new LiveCells(1);
  const registry = new ServerRegistry(cells);
  registry.replace([server('a'), server('b')]);
  const before = registry.slots();
  cells.setHealth(before.b!.slot, 'healthy');
  registry.replace([server('c'), server('b', 'us')]);
  t.strictSame(registry.slots().b, before.b);
  t.equal(cells.health(before.b!.slot), 'healthy');
  t.strictSame(
    registry
      .entries()
      .map(({ id, region }) => `${id} ${region}`)
      .sort(),
    ['b us', 'c eu'],
  );
});

t.test('a slot that becomes free is given out again after all others, as another incarnation', async (t) => {
  const cells = new LiveCells(1);
  const registry = new ServerRegistry(cells);
  registry.replace([server('a')]);
  const first = registry.slots().a!;
  cells.setEjected(first.slot, true);
  for (let i = 1; i < MAX_SERVERS; i++) registry.replace([server(`s${i}`)]);
  t.not(Object.values(registry.slots())[0]!.slot, first.slot);
  registry.replace([server('again')]);
  const again = registry.slots().again!;
  t.equal(again.slot, first.slot);
  t.equal(again.incarnation, first.incarnation + 1);
  t.equal(cells.isEjected(again.slot), false);
});

t.test('more servers than slots are refused with a sentence, and change nothing', async (t) => {
  const registry = new ServerRegistry(new LiveCells(1));
  registry.replace([server('a')]);
  const many = Array.from({ length: MAX_SERVERS + 1 }, (_, i) => server(`s${i}`));
  t.match(registry.replace(many), /cannot look after 4097 servers: at most 4096/);
  t.strictSame(Object.keys(registry.slots()), ['a']);
  t.equal(registry.replace(many.slice(1)), undefined);
  t.equal(new Set(Object.values(registry.slots()).map(({ slot }) => slot)).size, MAX_SERVERS);
});

t.test('no two servers ever share a slot, and who stays never moves', async () => {
  const sets = fc.array(fc.uniqueArray(fc.constantFrom(...'abcdefgh'), { maxLength: 8 }), { maxLength: 12 });
  fc.assert(
    fc.property(sets, (steps) => {
      const registry = new ServerRegistry(new LiveCells(1));
      let before = registry.slots();
      for (const ids of steps) {
        registry.replace(ids.map((id) => server(id)));
        const now = registry.slots();
        if (new Set(Object.values(now).map(({ slot }) => slot)).size !== ids.length) return false;
        if (ids.some((id) => before[id] !== undefined && before[id].slot !== now[id]!.slot)) return false;
        before = now;
      }
      return true;
    }),
    { numRuns: 50 },
  );
});
